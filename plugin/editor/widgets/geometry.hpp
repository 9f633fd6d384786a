// Places in the editor, in units of 1/96 inch: the window's pixels divided by its scale factor.
#pragma once

namespace audioldm {

struct Spot {
    float x = 0, y = 0;
};

struct Box {
    float x = 0, y = 0, w = 0, h = 0;

    float right() const { return x + w; }
    float bottom() const { return y + h; }
    float middle() const { return y + h / 2; }
    bool has(Spot spot) const {
        return spot.x >= x && spot.x < right() && spot.y >= y && spot.y < bottom();
    }
    Box inset(float by) const { return {x + by, y + by, w - 2 * by, h - 2 * by}; }

    /** Cuts `width` off the left or the right side, and the gap beside it. */
    Box takeLeft(float width, float gap = 6) {
        const Box part{x, y, width, h};
        x += width + gap;
        w -= width + gap;
        return part;
    }
    Box takeRight(float width, float gap = 6) {
        w -= width + gap;
        return {x + w + gap, y, width, h};
    }
    Box takeTop(float height, float gap = 6) {
        const Box part{x, y, w, height};
        y += height + gap;
        h -= height + gap;
        return part;
    }
    Box takeBottom(float height, float gap = 6) {
        h -= height + gap;
        return {x, y + h + gap, w, height};
    }
};

} // namespace audioldm
