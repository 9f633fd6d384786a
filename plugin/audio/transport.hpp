// Where the host is in the song.
#pragma once

#include <cstdint>

namespace audioldm {

struct Transport {
    bool playing = false;
    /** Frame of the song at the beginning of the block. */
    std::int64_t frame = 0;
    /** False where the host tells no bars and beats; then tempo and metre are a guess. */
    bool hasBars = false;
    double bpm = 120;
    int beatsPerBar = 4;
    int beatType = 4;
    /** From 1, as hosts show them. */
    int bar = 1;
    /** Within the bar, from 0, with its fraction. */
    double beat = 0;
};

/** Frames that one beat of the metre lasts: bpm counts quarter notes. */
inline double framesPerBeat(const Transport& t, double sampleRate) {
    return sampleRate * 60.0 / t.bpm * 4.0 / t.beatType;
}

} // namespace audioldm
