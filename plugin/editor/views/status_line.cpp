#include "editor/views/status_line.hpp"

#include "editor/views/captions.hpp"

namespace audioldm {

namespace {

constexpr float kBarWidth = 200;

} // namespace

void StatusLine::draw(Canvas& canvas) {
    Box rest = box;
    if (link.capturedSeconds > 0) {
        canvas.text(rest, "capturing, " + seconds(link.capturedSeconds), theme::kBad);
    } else if (!link.jobs.empty()) {
        const Box bar = rest.takeLeft(kBarWidth, 12).inset(0);
        const Box track{bar.x, bar.middle() - 4, bar.w, 8};
        canvas.fill(track, theme::kField, 4);
        canvas.fill({track.x, track.y, track.w * float(link.jobs.front().progress), track.h},
                    theme::kGood, 4);
        canvas.text(rest, progressOf(link.jobs), theme::kText);
    } else if (!link.notice.empty()) {
        canvas.text(rest, link.notice, theme::kWarning);
    } else {
        canvas.text(rest, hint, theme::kTextDim);
    }
}

void ConnectionLight::draw(Canvas& canvas) {
    const bool connected = link.connection == Connection::connected;
    const Rgb colour =
        !connected ? (link.connection == Connection::looking ? theme::kWarning : theme::kBad)
        : link.otherVersion ? theme::kWarning
                            : theme::kGood;
    const float width = std::min(box.w - 18, canvas.width(link.companion, theme::kSmallText));
    canvas.circle({box.right() - width - 12, box.middle()}, 5, colour);
    canvas.text({box.right() - width, box.y, width + 1, box.h}, link.companion,
                connected ? theme::kTextDim : theme::kText, theme::kSmallText);
}

} // namespace audioldm
