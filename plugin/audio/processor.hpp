// All that happens in the audio thread: no allocation, no lock, no file, no socket.
// The first touch of a page of the capture ring is a page fault of the system.
#pragma once

#include "audio/capture_ring.hpp"
#include "audio/clip_slots.hpp"
#include "audio/sampler.hpp"
#include "audio/song_player.hpp"
#include "audio/transport.hpp"
#include "parameters.hpp"

#include <atomic>
#include <cstdint>

namespace audioldm {

struct AudioBlock {
    const float* const* inputs;
    float* const* outputs;
    std::uint32_t frames;
    const NoteEvent* notes;
    std::uint32_t numNotes;
    Transport transport;
};

/** What the other threads may know of the last block. */
struct AudioStatus {
    std::atomic<bool> playing{false}, hasBars{false};
    std::atomic<std::int64_t> frame{0};
    /** Frame at which the song began to roll the last time: exact where the host's stop is not. */
    std::atomic<std::int64_t> rolledFrom{0};
    std::atomic<double> bpm{120}, beat{0};
    std::atomic<int> beatsPerBar{4}, beatType{4}, bar{1};
    /** The take that sounds, 0 for none, and the frame of it. */
    std::atomic<int> soundingTake{0};
    std::atomic<std::int64_t> soundingFrame{0};

    Transport transport() const;
};

/** What the editor wants to be auditioned: a take's number, 0 for silence. */
using AuditionWish = std::atomic<int>;

class Processor {
  public:
    static constexpr int kNoWish = -1;

    Processor(const ParameterValues& parameters, ClipSlots& slots, CaptureRing& captured);

    void setSampleRate(double rate) { sampleRate_ = rate; }
    void process(const AudioBlock& block);
    /** Voices end; called when the host switches the plug-in on. */
    void reset();

    AudioStatus status;
    AuditionWish auditionWish{kNoWish};

  private:
    void capture(const AudioBlock& block);
    void passInput(const AudioBlock& block);
    bool playAudition(const AudioBlock& block, GainRamp gain);
    void playSong(const AudioBlock& block, int chosen, GainRamp gain);
    void playNotes(const AudioBlock& block, int chosen, float gain);
    void takeUpWishes(int chosen);
    void report(const Transport& transport);
    GainRamp ramp(float& last, float now) const;
    float takeLevel();

    const ParameterValues& parameters_;
    ClipSlots& slots_;
    CaptureRing& captured_;
    Sampler sampler_;
    double sampleRate_ = 48000;
    bool capturing_ = false;
    bool rolling_ = false;
    unsigned triggersSeen_ = 0;
    int auditionSlot_ = 0;
    std::int64_t auditionFrame_ = 0;
    float gainDb_ = 0, gain_ = 1;
    float lastDry_ = -1, lastWet_ = -1;
};

} // namespace audioldm
