#include "editor/views/waveform_view.hpp"

#include "editor/views/captions.hpp"

#include "Base.hpp"

#include <algorithm>
#include <cmath>

namespace audioldm {

namespace {

using namespace DGL_NAMESPACE;

constexpr float kCaptionHeight = 20;
constexpr double kKeyStep = 0.01;
/** A press that hardly moves selects nothing. */
constexpr double kLeastShare = 0.003;

} // namespace

void WaveformView::show(const Take* take) {
    const bool same = take != nullptr && take_.has_value() && take->number == take_->number &&
                      take->path == take_->path;
    if (!same)
        from_ = to_ = 0;
    take_ = take != nullptr ? std::optional<Take>(*take) : std::nullopt;
}

Selection WaveformView::selection() const {
    if (!take_.has_value() || std::fabs(to_ - from_) < kLeastShare)
        return {};
    const double seconds = take_->seconds();
    return {std::min(from_, to_) * seconds, std::max(from_, to_) * seconds};
}

void WaveformView::draw(Canvas& canvas) {
    canvas.fill(box, theme::kWell, theme::kRadius);
    if (!take_.has_value()) {
        canvas.textCentred(
            box, "Type a prompt and press Generate, capture the track, or drop a file here",
            theme::kTextOff);
    } else {
        drawGrid(canvas);
        drawWave(canvas);
        if (!selection().isEmpty())
            canvas.fill(
                {xAt(std::min(from_, to_)), box.y, box.w * float(std::fabs(to_ - from_)), box.h},
                theme::kSelection);
        if (playhead_ >= 0 && playhead_ <= 1)
            canvas.fill({xAt(playhead_), box.y, 1.5f, box.h}, theme::kPlayhead);
        drawCaption(canvas);
    }
    if (focused)
        canvas.outline(box, theme::kFocus, theme::kRadius);
}

/** Lines at the beats, or at the seconds where the take has no bars. */
void WaveformView::drawGrid(Canvas& canvas) const {
    const double bars = take_->request.number("bars", 0);
    const double perBar = take_->request.number("beats_per_bar", 4);
    const double lines = bars > 0 ? bars * perBar : take_->seconds();
    if (lines <= 1 || lines > double(box.w) / 8)
        return;
    for (int strong = 0; strong < 2; ++strong) {
        canvas.beginBoxes();
        for (int k = 1; k < lines; ++k)
            if ((std::fmod(k, bars > 0 ? perBar : 10) < 0.5) == (strong == 1))
                canvas.addBox({xAt(k / lines), box.y, 1, box.h});
        canvas.fillBoxes(strong == 1 ? theme::kButton : theme::kField);
    }
}

void WaveformView::drawWave(Canvas& canvas) const {
    if (take_->overview == nullptr) {
        canvas.textCentred(box, take_->problem, theme::kWarning);
        return;
    }
    const Overview& overview = *take_->overview;
    const float width = box.w / float(Overview::kColumns);
    const float middle = box.y + (box.h - kCaptionHeight) / 2;
    const float height = (box.h - kCaptionHeight) / 2 - 2;
    canvas.beginBoxes();
    for (std::size_t k = 0; k < Overview::kColumns; ++k) {
        const float top = middle - std::min(1.0f, overview.highest[k]) * height;
        const float bottom = middle - std::max(-1.0f, overview.lowest[k]) * height;
        canvas.addBox({box.x + float(k) * width, top, width + 0.3f, std::max(1.0f, bottom - top)});
    }
    canvas.fillBoxes(take_->silent ? theme::kTextOff : theme::kWave);
}

void WaveformView::drawCaption(Canvas& canvas) const {
    Box line{box.x + 8, box.bottom() - kCaptionHeight, box.w - 16, kCaptionHeight};
    if (take_->silent)
        canvas.text(line.takeRight(200), "nothing can be heard in this take", theme::kBad,
                    theme::kSmallText);
    canvas.text(line, measures(*take_), theme::kTextDim, theme::kSmallText);
}

double WaveformView::shareAt(float x) const {
    return std::clamp(double((x - box.x) / box.w), 0.0, 1.0);
}

bool WaveformView::press(const MousePress& press) {
    if (press.clicks == 2) {
        from_ = 0;
        to_ = selection().isEmpty() ? 1 : 0;
    } else {
        to_ = shareAt(press.at.x);
        if (!press.shift)
            from_ = to_;
    }
    return true;
}

void WaveformView::drag(Spot at) {
    to_ = shareAt(at.x);
}

bool WaveformView::key(const KeyPress& press) {
    const double step = press.control ? 10 * kKeyStep : kKeyStep;
    if (press.code == ' ')
        audition_();
    else if (press.code == kKeyLeft || press.code == kKeyRight) {
        to_ = std::clamp(to_ + (press.code == kKeyLeft ? -step : step), 0.0, 1.0);
        if (!press.shift)
            from_ = to_;
    } else if (press.code == 'a' && press.control) {
        from_ = 0;
        to_ = 1;
    } else
        return false;
    return true;
}

} // namespace audioldm
