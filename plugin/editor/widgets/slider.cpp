#include "editor/widgets/slider.hpp"

#include "Base.hpp"

#include <algorithm>

namespace audioldm {

namespace {

constexpr float kLabelWidth = 58, kValueWidth = 56, kSteps = 100;

} // namespace

Slider::Slider(std::string label, Range range, std::function<std::string(float)> shown,
               Listener listener)
    : value(range.initial), label_(std::move(label)), range_(range), shown_(std::move(shown)),
      listener_(std::move(listener)) {}

Box Slider::track() const {
    return {box.x + kLabelWidth, box.middle() - 3, box.w - kLabelWidth - kValueWidth, 6};
}

void Slider::draw(Canvas& canvas) {
    const Box track = this->track();
    const float part = (value - range_.minimum) / (range_.maximum - range_.minimum);
    const float at = track.x + track.w * part;
    canvas.text({box.x, box.y, kLabelWidth - 6, box.h}, label_, theme::kTextDim, theme::kSmallText);
    canvas.fill(track, theme::kField, 3);
    canvas.fill({track.x, track.y, at - track.x, track.h}, theme::kButtonOn, 3);
    canvas.circle({at, track.middle()}, 7, focused ? theme::kFocus : theme::kText);
    canvas.text({track.right() + 12, box.y, kValueWidth - 12, box.h}, shown_(value), theme::kText,
                theme::kSmallText);
}

bool Slider::press(const MousePress& press) {
    listener_.begun();
    if (press.clicks == 2)
        moveTo(range_.initial);
    else
        drag(press.at);
    return true;
}

void Slider::drag(Spot at) {
    const Box track = this->track();
    const float part = std::clamp((at.x - track.x) / track.w, 0.0f, 1.0f);
    moveTo(range_.minimum + part * (range_.maximum - range_.minimum));
}

void Slider::release(Spot) {
    listener_.ended();
}

bool Slider::scroll(Spot, float by) {
    nudge(by);
    return true;
}

bool Slider::key(const KeyPress& press) {
    using namespace DGL_NAMESPACE;
    const float step = press.shift ? 10 : 1;
    if (press.code == kKeyRight || press.code == kKeyUp)
        nudge(step);
    else if (press.code == kKeyLeft || press.code == kKeyDown)
        nudge(-step);
    else
        return false;
    return true;
}

void Slider::nudge(float steps) {
    listener_.begun();
    moveTo(value + steps * (range_.maximum - range_.minimum) / kSteps);
    listener_.ended();
}

void Slider::moveTo(float to) {
    value = std::clamp(to, range_.minimum, range_.maximum);
    listener_.moved(value);
}

} // namespace audioldm
