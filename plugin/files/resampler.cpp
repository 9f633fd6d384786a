#include "files/resampler.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

namespace audioldm {

namespace {

constexpr double kPi = 3.14159265358979323846;
/** Zero crossings on each side, and the Kaiser window: 100 dB down outside of the pass band. */
constexpr int kCrossings = 48;
constexpr double kBeta = 10.0;
/** Share of the lower Nyquist frequency that passes. */
constexpr double kPassBand = 0.96;
/** Beyond that many phases (odd pairs of rates) positions are rounded to 1/4096 of a frame. */
constexpr std::int64_t kMaxPhases = 4096;

double besselI0(double x) {
    double sum = 1, term = 1;
    for (int k = 1; term > sum * 1e-12; ++k) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

double windowedSinc(double x, double cutoff) {
    const double edge = x * cutoff / kCrossings;
    if (std::fabs(edge) >= 1)
        return 0;
    const double window = besselI0(kBeta * std::sqrt(1 - edge * edge)) / besselI0(kBeta);
    const double phase = kPi * cutoff * x;
    return cutoff * window * (x == 0 ? 1 : std::sin(phase) / phase);
}

/** Filters for each distance that an output frame can have from the input frame before it. */
class PolyphaseFilter {
  public:
    PolyphaseFilter(std::int64_t from, std::int64_t to) {
        const std::int64_t common = std::gcd(from, to);
        up_ = to / common;
        down_ = from / common;
        phases_ = std::min(up_, kMaxPhases);
        const double cutoff = kPassBand * std::min(1.0, double(to) / double(from));
        reach_ = int(std::ceil(kCrossings / cutoff));
        taps_.resize(std::size_t(phases_ * width()));
        for (std::int64_t phase = 0; phase < phases_; ++phase)
            fill(phase, cutoff);
    }

    /** Samples of the input before and after a position that count for it. */
    int reach() const { return reach_; }

    template <class Read>
    float at(std::int64_t outputFrame, Read read) const {
        const std::int64_t numerator = outputFrame * down_;
        const std::int64_t whole = numerator / up_;
        const std::int64_t phase = (numerator % up_) * phases_ / up_;
        const float* taps = &taps_[std::size_t(phase * width())];
        double sum = 0;
        for (int k = 0; k < width(); ++k)
            sum += double(taps[k]) * read(whole - reach_ + 1 + k);
        return float(sum);
    }

  private:
    int width() const { return 2 * reach_; }

    void fill(std::int64_t phase, double cutoff) {
        float* taps = &taps_[std::size_t(phase * width())];
        double sum = 0;
        for (int k = 0; k < width(); ++k) {
            const double distance = double(k - reach_ + 1) - double(phase) / double(phases_);
            sum += taps[k] = float(windowedSinc(distance, cutoff));
        }
        // A constant stays what it is.
        for (int k = 0; k < width(); ++k)
            taps[k] = float(taps[k] / sum);
    }

    std::int64_t up_, down_, phases_;
    int reach_;
    std::vector<float> taps_;
};

std::vector<float> convert(const std::vector<float>& from, const PolyphaseFilter& filter,
                           std::size_t frames, bool isLoop) {
    const std::int64_t size = std::int64_t(from.size());
    const auto inside = [&](std::int64_t at) { return double(from[std::size_t(at)]); };
    const auto outside = [&](std::int64_t at) {
        if (isLoop)
            return inside(((at % size) + size) % size);
        return at < 0 || at >= size ? 0.0 : inside(at);
    };
    std::vector<float> to(frames);
    for (std::size_t k = 0; k < frames; ++k)
        to[k] = filter.at(std::int64_t(k), outside);
    return to;
}

} // namespace

Sound resampled(const Sound& sound, double rate, bool isLoop) {
    Sound result;
    result.sampleRate = rate;
    const auto frames = std::size_t(std::llround(double(sound.frames()) * rate / sound.sampleRate));
    if (sound.frames() == 0)
        return result;
    const PolyphaseFilter filter(std::llround(sound.sampleRate), std::llround(rate));
    result.left = convert(sound.left, filter, frames, isLoop);
    if (!sound.right.empty())
        result.right = convert(sound.right, filter, frames, isLoop);
    return result;
}

} // namespace audioldm
