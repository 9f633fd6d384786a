// Buttons, and buttons that stay down.
#pragma once

#include "editor/widgets/widget.hpp"

#include <functional>

namespace audioldm {

class Button : public Widget {
  public:
    Button(std::string label, std::function<void()> pressed)
        : label(std::move(label)), pressed_(std::move(pressed)) {}

    void draw(Canvas& canvas) override;
    bool press(const MousePress& press) override;
    bool key(const KeyPress& press) override;

    std::string label;
    /** Drawn as pressed down. */
    bool isOn = false;
    Rgb colour = theme::kButton, colourOn = theme::kButtonOn;

  private:
    std::function<void()> pressed_;
};

} // namespace audioldm
