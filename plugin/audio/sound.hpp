// Samples in memory.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace audioldm {

/** One channel or two; `right` is empty where the file was mono. */
struct Sound {
    std::vector<float> left, right;
    double sampleRate = 0;

    std::size_t frames() const { return left.size(); }
    const float* channel(int index) const {
        return index == 0 || right.empty() ? left.data() : right.data();
    }
};

using SoundPtr = std::shared_ptr<const Sound>;

} // namespace audioldm
