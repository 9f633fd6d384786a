#include "editor/widgets/text_field.hpp"

#include "Base.hpp"

#include <algorithm>

namespace audioldm {

namespace {

using namespace DGL_NAMESPACE;

constexpr float kInset = 8;

} // namespace

TextField::TextField(std::string placeholder, const Clipboard& clipboard,
                     std::function<void(const std::string&)> changed, std::function<void()> entered)
    : placeholder_(std::move(placeholder)), clipboard_(clipboard), changed_(std::move(changed)),
      entered_(std::move(entered)) {}

void TextField::show(const std::string& text) {
    if (!focused && text != line_.text())
        line_.setText(text);
}

std::string TextField::shown() const {
    return isSecret ? std::string(line_.text().size(), '*') : line_.text();
}

void TextField::draw(Canvas& canvas) {
    canvas.fill(box, focused ? theme::kFieldFocused : theme::kField, theme::kRadius);
    const Box inside{box.x + kInset, box.y, box.w - 2 * kInset, box.h};
    positions_ = canvas.positions(shown());
    if (line_.text().empty() && !focused) {
        canvas.text(inside, placeholder_, theme::kTextOff);
        return;
    }
    keepCaretInSight();
    const float origin = inside.x - scrolled_;
    const Box room{inside.x - 1, inside.y, inside.w + 2, inside.h};
    if (focused) {
        const float from = xOf(line_.selectionStart()), to = xOf(line_.selectionEnd());
        canvas.clip(room);
        canvas.fill({origin + from, box.y + 4, to - from, box.h - 8}, theme::kSelection);
        canvas.unclip();
    }
    canvas.textClipped(room, {origin, box.middle()}, shown(),
                       enabled ? theme::kText : theme::kTextOff);
    if (focused) {
        const float caret = origin + xOf(line_.caret());
        canvas.fill({caret, box.y + 5, 1.5f, box.h - 10}, theme::kPlayhead);
        canvas.outline(box, theme::kFocus, theme::kRadius);
    }
}

void TextField::keepCaretInSight() {
    const float room = box.w - 2 * kInset, caret = xOf(line_.caret());
    scrolled_ = std::clamp(scrolled_, caret - room, caret);
    scrolled_ = std::clamp(scrolled_, 0.0f, std::max(0.0f, positions_.back() - room));
}

float TextField::xOf(std::size_t byte) const {
    const std::size_t characters = isSecret ? byte : TextLine::characters(line_.text(), byte);
    return positions_[std::min(characters, positions_.size() - 1)];
}

/** The boundary between two characters that is nearest to `x`. */
std::size_t TextField::byteAt(float x) const {
    const float wanted = x - box.x - kInset + scrolled_;
    std::size_t nearest = 0;
    for (std::size_t at = 1; at <= line_.text().size(); ++at)
        if (TextLine::boundary(line_.text(), at) == at &&
            std::abs(xOf(at) - wanted) < std::abs(xOf(nearest) - wanted))
            nearest = at;
    return nearest;
}

bool TextField::press(const MousePress& press) {
    if (press.clicks == 3)
        line_.selectAll();
    else if (press.clicks == 2)
        line_.selectWordAt(byteAt(press.at.x));
    else
        line_.moveTo(byteAt(press.at.x), press.shift);
    return true;
}

void TextField::drag(Spot at) {
    line_.moveTo(byteAt(at.x), true);
}

void TextField::focusChanged(bool has) {
    Widget::focusChanged(has);
    if (!has)
        line_.moveTo(line_.caret(), false);
}

bool TextField::key(const KeyPress& press) {
    if (press.code == '\r' || press.code == '\n') {
        entered_();
        return true;
    }
    // Tab and Escape are the editor's. All others stay here, so that no shortcut of the host
    // plays or deletes something while one types.
    return press.code != '\t' && press.code != kKeyEscape &&
           (move(press) || edit(press) || shortcut(press) || true);
}

bool TextField::move(const KeyPress& press) {
    switch (press.code) {
    case kKeyLeft: line_.moveLeft(press.shift, press.control); return true;
    case kKeyRight: line_.moveRight(press.shift, press.control); return true;
    case kKeyHome: line_.moveTo(0, press.shift); return true;
    case kKeyEnd: line_.moveTo(line_.text().size(), press.shift); return true;
    default: return false;
    }
}

bool TextField::edit(const KeyPress& press) {
    if (press.code == kKeyBackspace)
        line_.removeBefore(press.control);
    else if (press.code == kKeyDelete)
        line_.removeAfter(press.control);
    else
        return false;
    changed_(line_.text());
    return true;
}

bool TextField::shortcut(const KeyPress& press) {
    if (!press.control)
        return false;
    switch (press.code) {
    case 'a': line_.selectAll(); return true;
    case 'c': clipboard_.set(line_.selected()); return true;
    case 'x':
        clipboard_.set(line_.selected());
        line_.insert("");
        break;
    case 'v': line_.insert(clipboard_.get()); break;
    case 'z': line_.undo(); break;
    default: return false;
    }
    changed_(line_.text());
    return true;
}

bool TextField::character(const std::string& text) {
    line_.insert(text);
    changed_(line_.text());
    return true;
}

} // namespace audioldm
