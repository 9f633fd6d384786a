#include "editor/widgets/button.hpp"

namespace audioldm {

void Button::draw(Canvas& canvas) {
    canvas.fill(box, isOn ? colourOn : enabled ? colour : theme::kField, theme::kRadius);
    canvas.textCentred(box, label, enabled ? theme::kText : theme::kTextOff);
    if (focused)
        canvas.outline(box, theme::kFocus, theme::kRadius);
}

bool Button::press(const MousePress&) {
    if (enabled)
        pressed_();
    return true;
}

bool Button::key(const KeyPress& press) {
    if (press.code != ' ' && press.code != '\r')
        return false;
    if (enabled)
        pressed_();
    return true;
}

} // namespace audioldm
