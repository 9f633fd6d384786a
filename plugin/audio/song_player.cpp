#include "audio/song_player.hpp"

#include <algorithm>
#include <cmath>

namespace audioldm {

namespace {

/** First frame of a repetition, counted from the anchor: rounded, so that no error adds up. */
std::int64_t repetitionStart(const Clip& clip, std::int64_t repetition) {
    return std::llround(double(repetition) * clip.repeatFrames);
}

std::int64_t repetitionAt(const Clip& clip, std::int64_t offset) {
    std::int64_t repetition = std::int64_t(double(offset) / clip.repeatFrames);
    while (repetitionStart(clip, repetition + 1) <= offset)
        ++repetition;
    while (repetitionStart(clip, repetition) > offset)
        --repetition;
    return repetition;
}

} // namespace

std::int64_t clipFrame(const Clip& clip, std::int64_t songFrame, bool loop) {
    const std::int64_t frames = std::int64_t(clip.sound->frames());
    const std::int64_t offset = songFrame - clip.anchor;
    if (offset < 0 || frames == 0)
        return -1;
    if (!loop || clip.repeatFrames < 1)
        return offset < frames ? offset : -1;
    const std::int64_t within = offset - repetitionStart(clip, repetitionAt(clip, offset));
    // A loop of 77255.5 frames has 77256 samples: now and then its last one is left out, and where
    // one is missing its first one stands in.
    return within < frames ? within : (within - frames) % frames;
}

void playInSong(const Clip& clip, std::int64_t songFrame, bool loop, GainRamp gain, float* left,
                float* right, std::uint32_t frames) {
    const float *fromLeft = clip.sound->channel(0), *fromRight = clip.sound->channel(1);
    for (std::uint32_t k = 0; k < frames; ++k) {
        const std::int64_t at = clipFrame(clip, songFrame + k, loop);
        if (at < 0)
            continue;
        const float level = gain.at(k, frames);
        left[k] += level * fromLeft[at];
        right[k] += level * fromRight[at];
    }
}

} // namespace audioldm
