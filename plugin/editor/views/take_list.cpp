#include "editor/views/take_list.hpp"

#include "editor/views/captions.hpp"

#include "Base.hpp"

#include <algorithm>
#include <cmath>

namespace audioldm {

namespace {

using namespace DGL_NAMESPACE;

constexpr float kDragDistance = 6;

} // namespace

void TakeList::show(const std::vector<Take>& takes, int chosen, int sounding) {
    takes_.assign(takes.rbegin(), takes.rend());
    const bool moved = chosen != chosen_;
    chosen_ = chosen;
    sounding_ = sounding;
    const std::size_t last = takes_.size() - std::min(takes_.size(), rowsShown());
    const std::size_t index = indexOfChosen();
    if (moved && (index < first_ || index >= first_ + rowsShown()))
        first_ = index;
    first_ = std::min(first_, last);
}

std::size_t TakeList::indexOfChosen() const {
    const auto same = [this](const Take& take) { return take.number == chosen_; };
    const auto found = std::find_if(takes_.begin(), takes_.end(), same);
    return found == takes_.end() ? 0 : std::size_t(found - takes_.begin());
}

std::size_t TakeList::rowsShown() const {
    return std::max<std::size_t>(1, std::size_t(box.h / theme::kListRow));
}

Box TakeList::row(std::size_t index) const {
    return {box.x, box.y + float(index - first_) * theme::kListRow, box.w, theme::kListRow};
}

void TakeList::draw(Canvas& canvas) {
    canvas.fill(box, theme::kWell, theme::kRadius);
    const std::size_t end = std::min(takes_.size(), first_ + rowsShown());
    for (std::size_t k = first_; k < end; ++k)
        drawRow(canvas, row(k), takes_[k]);
    if (takes_.size() > rowsShown()) {
        const float shown = float(rowsShown()) / float(takes_.size());
        const float from = float(first_) / float(takes_.size());
        canvas.fill({box.right() - 4, box.y + from * box.h, 3, shown * box.h}, theme::kButton, 2);
    }
    if (focused)
        canvas.outline(box, theme::kFocus, theme::kRadius);
}

void TakeList::drawRow(Canvas& canvas, const Box& row, const Take& take) const {
    if (take.number == chosen_)
        canvas.fill(row.inset(1), theme::kFieldFocused, theme::kRadius);
    Box rest{row.x + 8, row.y, row.w - 18, row.h};
    const bool sounds = take.number == sounding_;
    canvas.text(rest.takeLeft(36), (sounds ? "▶ " : "") + std::to_string(take.number),
                sounds ? theme::kGood : theme::kTextDim, theme::kSmallText);
    canvas.text(rest.takeLeft(14), take.kept ? "★" : "", theme::kWarning, theme::kSmallText);
    const std::string remark = !take.problem.empty() ? "file is missing"
                               : take.silent         ? "silent"
                                                     : seconds(take.seconds());
    const bool bad = !take.problem.empty() || take.silent;
    canvas.text(rest.takeRight(90), remark, bad ? theme::kBad : theme::kTextDim, theme::kSmallText);
    canvas.text(rest, title(take), theme::kText);
}

const Take* TakeList::at(Spot spot) const {
    const std::size_t end = std::min(takes_.size(), first_ + rowsShown());
    for (std::size_t k = first_; k < end; ++k)
        if (row(k).has(spot))
            return &takes_[k];
    return nullptr;
}

bool TakeList::press(const MousePress& press) {
    const Take* take = at(press.at);
    if (take == nullptr)
        return true;
    pressed_ = take->number;
    pressedAt_ = press.at;
    if (press.clicks == 2)
        listener_.auditioned(take->number);
    else
        listener_.chosen(take->number);
    return true;
}

void TakeList::drag(Spot at) {
    const float distance = std::hypot(at.x - pressedAt_.x, at.y - pressedAt_.y);
    if (pressed_ == 0 || distance < kDragDistance)
        return;
    const auto same = [this](const Take& take) { return take.number == pressed_; };
    const auto take = std::find_if(takes_.begin(), takes_.end(), same);
    pressed_ = 0;
    if (take != takes_.end() && take->sound != nullptr)
        listener_.draggedOut(take->path);
}

bool TakeList::scroll(Spot, float by) {
    const std::size_t last = takes_.size() - std::min(takes_.size(), rowsShown());
    if (by < 0)
        first_ = std::min(last, first_ + 1);
    else if (first_ > 0)
        --first_;
    return true;
}

bool TakeList::key(const KeyPress& press) {
    const std::size_t index = indexOfChosen();
    if (press.code == kKeyDown && index + 1 < takes_.size())
        listener_.chosen(takes_[index + 1].number);
    else if (press.code == kKeyUp && index > 0)
        listener_.chosen(takes_[index - 1].number);
    else if ((press.code == ' ' || press.code == '\r') && !takes_.empty())
        listener_.auditioned(takes_[index].number);
    else if (press.code == kKeyDelete && !takes_.empty())
        listener_.removed(takes_[index].number);
    else
        return press.code == kKeyDown || press.code == kKeyUp;
    return true;
}

} // namespace audioldm
