// The clips that the audio thread can play, by number, exchanged without locks.
#pragma once

#include "audio/sound.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace audioldm {

/** A sound at the sample rate of the host, and its place in the song. Never changed once published.
 */
struct Clip {
    SoundPtr sound;
    /** Frame of the song at which it begins. */
    std::int64_t anchor = 0;
    /** Exact length of one repetition in frames, for example of two bars at 133 bpm. */
    double repeatFrames = 0;
    /** False for what was captured from the track: the track plays that already. */
    bool followsSong = true;
};

/**
 * One writer at a time publishes, the audio thread reads. A clip that was replaced is freed by a
 * later call of `collect()`, when the audio thread cannot hold it any more.
 */
class ClipSlots {
  public:
    static constexpr int kNumSlots = 1000;

    ~ClipSlots();

    // Any thread but the audio thread.
    void publish(int number, std::unique_ptr<const Clip> clip);
    /** The slot that plays while the parameter `take` is 0. */
    void setNewest(int number) { newest_.store(number); }
    void collect();

    // The audio thread.
    void enter() { entered_.fetch_add(1); }
    void leave() { entered_.fetch_add(1); }
    /** Valid until `leave()`. */
    const Clip* get(int number) const {
        return number < 0 || number >= kNumSlots ? nullptr : slots_[std::size_t(number)].load();
    }
    int newest() const { return newest_.load(std::memory_order_relaxed); }

  private:
    struct Retired {
        const Clip* clip;
        std::uint64_t entered;
    };

    void collectLocked();

    std::array<std::atomic<const Clip*>, kNumSlots> slots_{};
    std::atomic<int> newest_{0};
    /** Odd while the audio thread is between enter() and leave(). */
    std::atomic<std::uint64_t> entered_{0};
    std::mutex mutex_;
    std::vector<Retired> retired_;
};

} // namespace audioldm
