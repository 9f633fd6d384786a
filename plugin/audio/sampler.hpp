// Notes play a take: a small polyphonic sampler.
#pragma once

#include "audio/clip_slots.hpp"
#include "parameters.hpp"

#include <array>
#include <cstdint>

namespace audioldm {

/** A MIDI message of up to three bytes, `frame` frames into the block. */
struct NoteEvent {
    std::uint32_t frame;
    std::uint8_t status, data1, data2;
};

/** What notes do; the same for all of a block. */
struct SamplerSettings {
    MidiMode mode = MidiMode::oneShot;
    bool pitchFollow = false;
    double sampleRate = 48000;
    float gain = 1;
};

class Sampler {
  public:
    static constexpr int kNumVoices = 16;
    /** The note that plays a take as it is, and the release time where a note is cut. */
    static constexpr int kRootNote = 60;
    static constexpr double kReleaseSeconds = 0.008;

    /** Adds what sounds to `left` and `right`. Notes start the clip of slot `chosen`. */
    void process(const ClipSlots& slots, int chosen, const SamplerSettings& settings,
                 const NoteEvent* events, std::uint32_t numEvents, float* left, float* right,
                 std::uint32_t frames);
    void stopAll();
    bool isSilent() const;

  private:
    struct Voice {
        /** 0: the voice is free. */
        int slot = 0;
        const Sound* sound = nullptr;
        double position = 0, step = 1;
        float gain = 1;
        /** Frames until silence; negative: not released. */
        std::int64_t releaseLeft = -1;
        int releaseFrames = 1;
        bool repeats = false;
        /** As the mode was when it started. */
        bool ignoresNoteOff = false;
        int note = 0, channel = 0;
        std::uint64_t age = 0;

        void release();
    };

    void handle(const NoteEvent& event, const ClipSlots& slots, int chosen,
                const SamplerSettings& settings);
    void start(int channel, int note, int velocity, const ClipSlots& slots, int chosen,
               const SamplerSettings& settings);
    void release(int channel, int note);
    void releaseAll(int channel);
    void dropChanged(const ClipSlots& slots);
    Voice& freeVoice();
    static void render(Voice& voice, float gain, float* left, float* right, std::uint32_t frames);

    std::array<Voice, kNumVoices> voices_;
    std::uint64_t age_ = 0;
};

} // namespace audioldm
