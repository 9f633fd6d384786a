// A value between two ends: dragged, scrolled, or moved by the arrow keys.
#pragma once

#include "editor/widgets/widget.hpp"

#include <functional>

namespace audioldm {

class Slider : public Widget {
  public:
    struct Range {
        float minimum, maximum, initial;
    };
    /** `begun`: a gesture begins; `ended`: it is over. Hosts record automation between them. */
    struct Listener {
        std::function<void()> begun;
        std::function<void(float)> moved;
        std::function<void()> ended;
    };

    Slider(std::string label, Range range, std::function<std::string(float)> shown,
           Listener listener);

    void draw(Canvas& canvas) override;
    bool press(const MousePress& press) override;
    void drag(Spot at) override;
    void release(Spot at) override;
    bool scroll(Spot at, float by) override;
    bool key(const KeyPress& press) override;

    float value;

  private:
    void moveTo(float value);
    void nudge(float steps);
    Box track() const;

    const std::string label_;
    const Range range_;
    const std::function<std::string(float)> shown_;
    const Listener listener_;
};

} // namespace audioldm
