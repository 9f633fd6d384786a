#include "editor/widgets/canvas.hpp"

#include "editor/widgets/text_line.hpp"

namespace audioldm {

namespace {

using DGL_NAMESPACE::Color;
using DGL_NAMESPACE::NanoVG;

Color toColor(Rgb c) {
    return Color(c.r, c.g, c.b, float(c.a) / 255);
}

} // namespace

void Canvas::begin(float scale) {
    vg_.scale(scale, scale);
    vg_.fontFace(NANOVG_DEJAVU_SANS_TTF);
    vg_.textAlign(NanoVG::ALIGN_LEFT | NanoVG::ALIGN_MIDDLE);
}

void Canvas::setFont(float size) {
    vg_.fontSize(size);
}

void Canvas::fill(const Box& box, Rgb colour, float radius) {
    vg_.beginPath();
    vg_.roundedRect(box.x, box.y, box.w, box.h, radius);
    vg_.fillColor(toColor(colour));
    vg_.fill();
}

void Canvas::outline(const Box& box, Rgb colour, float radius) {
    vg_.beginPath();
    vg_.roundedRect(box.x + 0.5f, box.y + 0.5f, box.w - 1, box.h - 1, radius);
    vg_.strokeColor(toColor(colour));
    vg_.strokeWidth(1);
    vg_.stroke();
}

void Canvas::circle(Spot centre, float radius, Rgb colour) {
    vg_.beginPath();
    vg_.circle(centre.x, centre.y, radius);
    vg_.fillColor(toColor(colour));
    vg_.fill();
}

void Canvas::fillBoxes(Rgb colour) {
    vg_.fillColor(toColor(colour));
    vg_.fill();
}

float Canvas::width(const std::string& text, float size) {
    if (text.empty()) // NanoVG asserts on empty strings
        return 0;
    setFont(size);
    DGL_NAMESPACE::Rectangle<float> bounds;
    return vg_.textBounds(0, 0, text.c_str(), nullptr, bounds);
}

std::vector<float> Canvas::positions(const std::string& text) {
    std::vector<float> starts;
    if (!text.empty()) {
        setFont(theme::kTextSize);
        std::vector<NanoVG::GlyphPosition> glyphs(text.size());
        const int count =
            vg_.textGlyphPositions(0, 0, text.c_str(), nullptr, glyphs.front(), int(glyphs.size()));
        for (int k = 0; k < count; ++k)
            starts.push_back(glyphs[std::size_t(k)].x);
    }
    starts.push_back(width(text));
    return starts;
}

std::string Canvas::fitted(const std::string& text, float width, float size) {
    if (this->width(text, size) <= width)
        return text;
    const std::string ellipsis = "…";
    std::size_t low = 0, high = text.size();
    while (low < high) {
        const std::size_t half = (low + high + 1) / 2;
        const std::string shorter = text.substr(0, TextLine::boundary(text, half)) + ellipsis;
        if (this->width(shorter, size) <= width)
            low = half;
        else
            high = half - 1;
    }
    return text.substr(0, TextLine::boundary(text, low)) + ellipsis;
}

void Canvas::text(const Box& box, const std::string& text, Rgb colour, float size) {
    const std::string shown = fitted(text, box.w, size);
    if (shown.empty() || box.w <= 0)
        return;
    setFont(size);
    vg_.fillColor(toColor(colour));
    vg_.text(box.x, box.middle(), shown.c_str(), nullptr);
}

void Canvas::textCentred(const Box& box, const std::string& text, Rgb colour, float size) {
    const float inset = std::max(2.0f, (box.w - width(text, size)) / 2);
    this->text({box.x + inset, box.y, box.w - 2 * inset + 1, box.h}, text, colour, size);
}

void Canvas::textClipped(const Box& clip, Spot at, const std::string& text, Rgb colour) {
    if (text.empty())
        return;
    this->clip(clip);
    setFont(theme::kTextSize);
    vg_.fillColor(toColor(colour));
    vg_.text(at.x, at.y, text.c_str(), nullptr);
    unclip();
}

} // namespace audioldm
