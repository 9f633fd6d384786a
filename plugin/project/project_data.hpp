// What a saved project keeps of the plug-in.
#pragma once

#include "project/request.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace audioldm {

/** A frame of the song, and the sample rate that it was counted at. */
struct SongPosition {
    std::int64_t frame = 0;
    double sampleRate = 48000;

    std::int64_t at(double rate) const {
        return rate == sampleRate ? frame : std::llround(double(frame) * rate / sampleRate);
    }
};

enum class TakeSource { rendered, captured, file };

struct TakeRecord {
    /** From 1, for ever the same; the parameter `take` counts by it. */
    int number = 0;
    TakeSource source = TakeSource::rendered;
    std::string path;
    /** What made it, so that it can be made again; without a kind where nothing was rendered. */
    Request request;
    std::int64_t seed = -1;
    /** Similarity with the prompt; -2 where the companion did not measure it. */
    double score = -2;
    bool silent = false;
    bool kept = false;
    SongPosition anchor;
};

struct ProjectData {
    std::string prompt = "rain on a tin roof";
    std::string negativePrompt;
    /** The companion's preset that was chosen last, and the fields that came with it. */
    std::string preset;
    std::vector<Field> presetFields;
    /** Where new takes begin in the song. */
    SongPosition placement;
    std::vector<TakeRecord> takes;
};

} // namespace audioldm
