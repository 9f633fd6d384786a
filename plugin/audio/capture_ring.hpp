// What the track plays, on its way from the audio thread to the thread that writes it to a file.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>

namespace audioldm {

struct CaptureBlock {
    static constexpr std::uint32_t kFrames = 256;

    /** Frame of the song at which the block begins. */
    std::int64_t frame;
    std::uint32_t count;
    /** The capture was switched off; the block holds no samples. */
    bool last;
    float left[kFrames], right[kFrames];
};

/** One writer, one reader. Holds 10 s at 48 kHz; what does not fit is counted. */
class CaptureRing {
  public:
    static constexpr unsigned kBlocks = 2048;

    // The audio thread.
    void write(std::int64_t frame, const float* left, const float* right, std::uint32_t count);
    /** Marks the end; false where the ring is full and it must be tried again. */
    bool end();

    // The reading thread.
    const CaptureBlock* front() const;
    void pop() {
        tail_.store(tail_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
    /** Frames that were lost since the last call. */
    std::uint32_t takeLost() { return lost_.exchange(0); }

  private:
    CaptureBlock* claim();
    void publish() {
        head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }

    // Not initialised: its 4 MB become memory only where something is captured. So the first touch
    // of each page, in the audio thread, is a page fault that the system serves; none follow.
    std::unique_ptr<CaptureBlock[]> blocks_{new CaptureBlock[kBlocks]};
    std::atomic<unsigned> head_{0}, tail_{0};
    std::atomic<std::uint32_t> lost_{0};
};

} // namespace audioldm
