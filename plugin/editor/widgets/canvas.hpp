// Drawing, over DPF's NanoVG.
#pragma once

#include "editor/widgets/geometry.hpp"
#include "editor/widgets/theme.hpp"

#include "NanoVG.hpp"

#include <string>
#include <vector>

namespace audioldm {

class Canvas {
  public:
    explicit Canvas(DGL_NAMESPACE::NanoVG& vg) : vg_(vg) {}

    void begin(float scale);
    void fill(const Box& box, Rgb colour, float radius = 0);
    void outline(const Box& box, Rgb colour, float radius = 0);
    void circle(Spot centre, float radius, Rgb colour);
    /** Left-aligned at the middle of `box`, shortened with an ellipsis where it does not fit. */
    void text(const Box& box, const std::string& text, Rgb colour, float size = theme::kTextSize);
    void textCentred(const Box& box, const std::string& text, Rgb colour,
                     float size = theme::kTextSize);
    /** Not shortened, but clipped to `clip`. */
    void textClipped(const Box& clip, Spot at, const std::string& text, Rgb colour);
    float width(const std::string& text, float size = theme::kTextSize);
    /** Where each character of `text` begins, and at last where the text ends. */
    std::vector<float> positions(const std::string& text);

    /** Collects boxes that are filled together. */
    void beginBoxes() { vg_.beginPath(); }
    void addBox(const Box& box) { vg_.rect(box.x, box.y, box.w, box.h); }
    void fillBoxes(Rgb colour);

    void clip(const Box& box) { vg_.scissor(box.x, box.y, box.w, box.h); }
    void unclip() { vg_.resetScissor(); }

  private:
    void setFont(float size);
    std::string fitted(const std::string& text, float width, float size);

    DGL_NAMESPACE::NanoVG& vg_;
};

} // namespace audioldm
