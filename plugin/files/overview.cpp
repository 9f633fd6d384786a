#include "files/overview.hpp"

#include <algorithm>
#include <cmath>

namespace audioldm {

namespace {

double decibels(double amplitude) {
    return std::max(-120.0, 20 * std::log10(std::max(amplitude, 1e-6)));
}

} // namespace

Overview overviewOf(const Sound& sound) {
    Overview overview;
    const std::size_t frames = sound.frames();
    const int channels = sound.right.empty() ? 1 : 2;
    double peak = 0, energy = 0;
    for (int channel = 0; channel < channels; ++channel) {
        const float* samples = sound.channel(channel);
        for (std::size_t k = 0; k < frames; ++k) {
            const std::size_t column = k * Overview::kColumns / frames;
            overview.lowest[column] = std::min(overview.lowest[column], samples[k]);
            overview.highest[column] = std::max(overview.highest[column], samples[k]);
            peak = std::max(peak, double(std::fabs(samples[k])));
            energy += double(samples[k]) * samples[k];
        }
    }
    if (frames > 0) {
        overview.peakDb = decibels(peak);
        overview.rmsDb = decibels(std::sqrt(energy / double(frames * std::size_t(channels))));
        overview.seconds = double(frames) / sound.sampleRate;
    }
    return overview;
}

} // namespace audioldm
