// Changes the sample rate of a whole sound: a windowed sinc, the same result every time.
#pragma once

#include "audio/sound.hpp"

namespace audioldm {

/**
 * `sound` at another rate, `round(frames * rate / sound.sampleRate)` frames long. A loop is read as
 * if it went on before its beginning and after its end, so it stays without a seam.
 */
Sound resampled(const Sound& sound, double rate, bool isLoop);

} // namespace audioldm
