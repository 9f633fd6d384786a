#include "editor/song_place.hpp"

#include "project/numbers.hpp"

#include <algorithm>
#include <cmath>

namespace audioldm {

namespace {

/** Beats from the first bar to where the host is. */
double beatsNow(const Transport& t) {
    return (t.bar - 1) * t.beatsPerBar + t.beat;
}

/** By the tempo of now: hosts tell of no other. */
double firstBarFrame(const Transport& t, double sampleRate) {
    return t.hasBars ? double(t.frame) - beatsNow(t) * framesPerBeat(t, sampleRate) : 0;
}

std::int64_t frameOfBeat(double beat, const Transport& t, double sampleRate) {
    const double frame = firstBarFrame(t, sampleRate) + beat * framesPerBeat(t, sampleRate);
    return std::max<std::int64_t>(0, std::llround(frame));
}

} // namespace

std::int64_t frameOfBar(const std::string& text, const Transport& t, double sampleRate) {
    const std::size_t dot = text.find('.');
    const int bar = parsed<int>(text.substr(0, dot), 0);
    const int beat = dot == std::string::npos ? 1 : parsed<int>(text.substr(dot + 1), 0);
    if (bar < 1 || beat < 1 || beat > t.beatsPerBar)
        return -1;
    return frameOfBeat((bar - 1) * t.beatsPerBar + beat - 1, t, sampleRate);
}

std::string barOfFrame(std::int64_t frame, const Transport& t, double sampleRate) {
    const double beats =
        (double(frame) - firstBarFrame(t, sampleRate)) / framesPerBeat(t, sampleRate);
    const auto whole = std::max<std::int64_t>(0, std::llround(beats));
    const std::string bar = toText(whole / t.beatsPerBar + 1);
    const std::int64_t beat = whole % t.beatsPerBar;
    // Between two beats: a clip that was captured there.
    const bool isBetween = std::fabs(beats - double(whole)) > 0.001;
    return bar + (beat > 0 || isBetween ? '.' + toText(beat + 1) : "") + (isBetween ? "~" : "");
}

std::int64_t nearestBeat(const Transport& t, double sampleRate) {
    return t.hasBars ? frameOfBeat(std::round(beatsNow(t)), t, sampleRate) : t.frame;
}

} // namespace audioldm
