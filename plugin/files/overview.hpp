// A sound as the editor draws and measures it.
#pragma once

#include "audio/sound.hpp"

#include <array>

namespace audioldm {

struct Overview {
    static constexpr std::size_t kColumns = 1024;

    /** Lowest and highest sample of each part of the sound, both channels together. */
    std::array<float, kColumns> lowest{}, highest{};
    /** In dB of full scale; -120 for silence. */
    double peakDb = -120, rmsDb = -120;
    double seconds = 0;
};

Overview overviewOf(const Sound& sound);

} // namespace audioldm
