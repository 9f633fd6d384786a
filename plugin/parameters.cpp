#include "parameters.hpp"

#include <algorithm>
#include <cmath>

namespace audioldm {

namespace {

constexpr std::array<ParameterInfo, kNumParameters> kInfos{{
    {"generate", "Generate", "", ParameterInfo::toggle, 0, 0, 1},
    {"trigger", "Trigger", "", ParameterInfo::toggle, 0, 0, 1},
    {"play", "Play", "", ParameterInfo::toggle, 1, 0, 1},
    {"loop", "Loop", "", ParameterInfo::toggle, 0, 0, 1},
    {"capture", "Capture", "", ParameterInfo::toggle, 0, 0, 1},
    {"take", "Take", "", ParameterInfo::whole, 0, 0, 999},
    {"gain", "Gain", "dB", ParameterInfo::number, 0, -60, 12},
    {"dry", "Dry", "", ParameterInfo::number, 1, 0, 1},
    {"mix", "Mix", "", ParameterInfo::number, 0.5f, 0, 1},
    {"bars", "Bars", "", ParameterInfo::whole, 2, 0, 64},
    {"seconds", "Seconds", "s", ParameterInfo::number, 4, 0.3f, 60},
    {"seed", "Seed", "", ParameterInfo::whole, -1, -1, 1000000},
    {"strength", "Strength", "", ParameterInfo::number, 0.5f, 0, 1},
    {"midi_mode", "MIDI mode", "", ParameterInfo::choice, 1, 0, 3},
    {"pitch_follow", "Pitch follow", "", ParameterInfo::toggle, 0, 0, 1},
    {"connected", "Connected", "", ParameterInfo::toggleOut, 0, 0, 1},
    {"progress", "Progress", "", ParameterInfo::numberOut, 0, 0, 1},
    {"takes", "Takes", "", ParameterInfo::wholeOut, 0, 0, 999},
    {"changes", "Changes", "", ParameterInfo::counter, 0, 0, 999},
}};

} // namespace

const std::array<const char*, 4> kMidiModeNames{"off", "one-shot", "gate", "loop"};

const ParameterInfo& parameterInfo(std::uint32_t index) {
    return kInfos[index];
}

ParameterValues::ParameterValues() {
    for (std::uint32_t index = 0; index < kNumParameters; ++index)
        values_[index].store(kInfos[index].initial);
}

int ParameterValues::whole(std::uint32_t index) const {
    return int(std::lround(get(index)));
}

void ParameterValues::set(std::uint32_t index, float value) {
    const ParameterInfo& info = kInfos[index];
    float inRange = std::clamp(value, info.minimum, info.maximum);
    // Hosts keep values from 0 to 1: on their way back 0 dB has become -0.0000014 dB, and samples
    // would no longer be equal to the bit.
    if (std::fabs(inRange - info.initial) < 1e-6f * (info.maximum - info.minimum))
        inRange = info.initial;
    const float old = values_[index].exchange(inRange);
    if (old != inRange)
        version_.fetch_add(1, std::memory_order_relaxed);
    if (buttonsEnabled_.load(std::memory_order_relaxed) && old <= 0.5f && inRange > 0.5f)
        presses_[index].fetch_add(1);
}

} // namespace audioldm
