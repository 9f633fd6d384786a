// The chosen take: its waveform, the selection in it, and where it sounds.
#pragma once

#include "editor/widgets/widget.hpp"
#include "link/requests.hpp"
#include "project/project.hpp"

#include <functional>
#include <optional>

namespace audioldm {

class WaveformView : public Widget {
  public:
    explicit WaveformView(std::function<void()> audition) : audition_(std::move(audition)) {}

    void draw(Canvas& canvas) override;
    bool press(const MousePress& press) override;
    void drag(Spot at) override;
    bool key(const KeyPress& press) override;

    /** Another take clears the selection. */
    void show(const Take* take);
    /** Share of the take that has sounded; negative: it does not sound. */
    void setPlayhead(double share) { playhead_ = share; }
    Selection selection() const;

  private:
    double shareAt(float x) const;
    float xAt(double share) const { return box.x + box.w * float(share); }
    void drawGrid(Canvas& canvas) const;
    void drawWave(Canvas& canvas) const;
    void drawCaption(Canvas& canvas) const;

    std::function<void()> audition_;
    std::optional<Take> take_;
    /** Shares of the take: where the selection began and where it ends now. */
    double from_ = 0, to_ = 0;
    double playhead_ = -1;
};

} // namespace audioldm
