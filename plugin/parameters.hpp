// The parameters that hosts show, automate and save.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace audioldm {

/** The order is part of every saved project: append only. */
enum Parameter : std::uint32_t {
    kGenerate,
    kTrigger,
    kPlay,
    kLoop,
    kCapture,
    kTake,
    kGain,
    kDry,
    kMix,
    kBars,
    kSeconds,
    kSeed,
    kStrength,
    kMidiMode,
    kPitchFollow,
    kConnected,
    kProgress,
    kNumTakes,
    /** Goes round with each change of the project: hosts see a changed parameter, and ask to save.
     */
    kChanges,
    kNumParameters
};

/** What a note does to the take. */
enum class MidiMode { off, oneShot, gate, loop };

struct ParameterInfo {
    enum Kind { number, whole, toggle, choice, counter, numberOut, wholeOut, toggleOut };

    const char *symbol, *name, *unit;
    Kind kind;
    float initial, minimum, maximum;
};

const ParameterInfo& parameterInfo(std::uint32_t index);

/** Names of the values of kMidiMode, in their order. */
extern const std::array<const char*, 4> kMidiModeNames;

/** The values, shared by the host's threads, the audio thread, the link and the editor. */
class ParameterValues {
  public:
    ParameterValues();

    float get(std::uint32_t index) const { return values_[index].load(std::memory_order_relaxed); }
    bool isOn(std::uint32_t index) const { return get(index) > 0.5f; }
    int whole(std::uint32_t index) const;
    MidiMode midiMode() const { return MidiMode(whole(kMidiMode)); }

    void set(std::uint32_t index, float value);
    /** Goes up with each change of a value. */
    unsigned version() const { return version_.load(std::memory_order_relaxed); }
    /** Presses before the first block count for nothing: a project that was saved with a button
     *  down must not render when it is opened. */
    void enableButtons() { buttonsEnabled_.store(true, std::memory_order_relaxed); }
    /** Counts how often a button (kGenerate, kTrigger) was pressed. */
    unsigned presses(std::uint32_t index) const { return presses_[index].load(); }

  private:
    std::array<std::atomic<float>, kNumParameters> values_;
    std::array<std::atomic<unsigned>, kNumParameters> presses_{};
    std::atomic<unsigned> version_{0};
    std::atomic<bool> buttonsEnabled_{false};
};

} // namespace audioldm
