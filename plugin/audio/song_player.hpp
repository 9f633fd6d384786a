// Plays a clip at its place in the song, to the sample.
#pragma once

#include "audio/clip_slots.hpp"

#include <cstdint>

namespace audioldm {

/** A gain that moves from `from` to `to` over one block. */
struct GainRamp {
    float from = 1, to = 1;

    float at(std::uint32_t frame, std::uint32_t frames) const {
        return from == to ? to : from + (to - from) * float(frame + 1) / float(frames);
    }
};

/** Frame of the clip that sounds at `songFrame`; negative: none. */
std::int64_t clipFrame(const Clip& clip, std::int64_t songFrame, bool loop);

/** Adds the part of `clip` that begins at `songFrame`. */
void playInSong(const Clip& clip, std::int64_t songFrame, bool loop, GainRamp gain, float* left,
                float* right, std::uint32_t frames);

} // namespace audioldm
