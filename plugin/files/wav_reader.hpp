// Reads WAV files: PCM of 8, 16, 24 and 32 bits, float of 32 and 64, also WAVE_FORMAT_EXTENSIBLE.
#pragma once

#include "audio/sound.hpp"

#include <cstdint>
#include <stdexcept>
#include <string>

namespace audioldm {

/** The message is meant for people. */
struct FileError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/** A sound is in the memory of the host: 20 minutes of stereo at 48 kHz are 460 MB. */
constexpr std::uint32_t kMaxMinutes = 20;

/** The first two channels of a file. Throws FileError. `path` is UTF-8. */
Sound readWav(const std::string& path);

} // namespace audioldm
