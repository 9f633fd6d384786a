// What the parts of the editor have in common.
#pragma once

#include "editor/widgets/canvas.hpp"
#include "editor/widgets/geometry.hpp"

#include <cstdint>
#include <string>

namespace audioldm {

/** A key that was pressed; `code` as DPF names it: ASCII, or one of DGL's kKey... */
struct KeyPress {
    std::uint32_t code = 0;
    bool shift = false, control = false, alt = false;
};

struct MousePress {
    Spot at;
    /** 2 for the second press of a double click. */
    int clicks = 1;
    bool shift = false;
};

class Widget {
  public:
    virtual ~Widget() = default;

    virtual void draw(Canvas& canvas) = 0;

    // Handlers give true where the event was for them.
    virtual bool press(const MousePress&) { return false; }
    virtual void drag(Spot) {}
    virtual void release(Spot) {}
    virtual bool scroll(Spot, float) { return false; }
    virtual bool key(const KeyPress&) { return false; }
    virtual bool character(const std::string&) { return false; }
    virtual bool takesFocus() const { return enabled && visible; }
    virtual void focusChanged(bool has) { focused = has; }

    Box box;
    bool enabled = true, visible = true, focused = false;
};

} // namespace audioldm
