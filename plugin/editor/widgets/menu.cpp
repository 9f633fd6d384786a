#include "editor/widgets/menu.hpp"

#include "Base.hpp"

#include <algorithm>

namespace audioldm {

namespace {

using namespace DGL_NAMESPACE;

constexpr float kMinWidth = 260, kPadding = 4;

} // namespace

void Menu::open(const Box& anchor, const Box& room, std::vector<MenuItem> items,
                std::function<void(std::size_t)> chosen) {
    items_ = std::move(items);
    chosen_ = std::move(chosen);
    marked_ = first_ = 0;
    visible = !items_.empty();
    const float width = std::min(std::max(anchor.w, kMinWidth), room.w);
    const float below = room.bottom() - anchor.bottom(), above = anchor.y - room.y;
    const float wanted = float(items_.size()) * theme::kListRow + 2 * kPadding;
    const float height = std::min(wanted, std::max(below, above));
    const float x = std::clamp(anchor.right() - width, room.x, room.right() - width);
    const bool fitsBelow = wanted <= below || below >= above;
    box = {x, fitsBelow ? anchor.bottom() : anchor.y - height, width, height};
}

std::size_t Menu::rowsShown() const {
    return std::max<std::size_t>(1, std::size_t((box.h - 2 * kPadding) / theme::kListRow));
}

Box Menu::row(std::size_t index) const {
    return {box.x + kPadding, box.y + kPadding + float(index - first_) * theme::kListRow,
            box.w - 2 * kPadding, theme::kListRow};
}

void Menu::draw(Canvas& canvas) {
    canvas.fill(box, theme::kFieldFocused, theme::kRadius);
    canvas.outline(box, theme::kFocus, theme::kRadius);
    const std::size_t end = std::min(items_.size(), first_ + rowsShown());
    for (std::size_t k = first_; k < end; ++k) {
        const Box row = this->row(k);
        if (k == marked_)
            canvas.fill(row, theme::kButtonOn, theme::kRadius);
        Box inside{row.x + 6, row.y, row.w - 12, row.h};
        const float label = std::min(inside.w, canvas.width(items_[k].label) + 12);
        canvas.text(inside.takeLeft(label, 0), items_[k].label, theme::kText);
        canvas.text(inside, items_[k].remark, theme::kTextDim, theme::kSmallText);
    }
}

bool Menu::press(const MousePress& press) {
    for (std::size_t k = first_; k < std::min(items_.size(), first_ + rowsShown()); ++k)
        if (row(k).has(press.at)) {
            choose(k);
            return true;
        }
    close();
    return true;
}

void Menu::point(Spot at) {
    for (std::size_t k = first_; k < std::min(items_.size(), first_ + rowsShown()); ++k)
        if (row(k).has(at))
            marked_ = k;
}

bool Menu::scroll(Spot, float by) {
    const std::size_t last = items_.size() - std::min(items_.size(), rowsShown());
    if (by < 0)
        first_ = std::min(last, first_ + 1);
    else if (first_ > 0)
        --first_;
    return true;
}

bool Menu::key(const KeyPress& press) {
    if (press.code == kKeyDown)
        marked_ = std::min(items_.size() - 1, marked_ + 1);
    else if (press.code == kKeyUp && marked_ > 0)
        --marked_;
    else if (press.code == '\r' || press.code == ' ')
        choose(marked_);
    else if (press.code == kKeyEscape || press.code == '\t')
        close();
    keepMarkedInSight();
    return true;
}

void Menu::keepMarkedInSight() {
    first_ = std::min(first_, marked_);
    if (marked_ >= first_ + rowsShown())
        first_ = marked_ - rowsShown() + 1;
}

void Menu::choose(std::size_t index) {
    close();
    const auto chosen = chosen_; // it may open the menu again
    chosen(index);
}

} // namespace audioldm
