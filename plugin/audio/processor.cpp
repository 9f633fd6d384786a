#include "audio/processor.hpp"

#include <algorithm>
#include <cmath>

namespace audioldm {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

/** Half of the range of `mix` fades one side out; in its middle both are as they are. */
float dryShare(float mix) {
    return std::min(1.0f, 2 * (1 - mix));
}

float wetShare(float mix) {
    return std::min(1.0f, 2 * mix);
}

} // namespace

Transport AudioStatus::transport() const {
    Transport t;
    t.playing = playing.load(relaxed);
    t.hasBars = hasBars.load(relaxed);
    t.frame = frame.load(relaxed);
    t.bpm = bpm.load(relaxed);
    t.beat = beat.load(relaxed);
    t.beatsPerBar = beatsPerBar.load(relaxed);
    t.beatType = beatType.load(relaxed);
    t.bar = bar.load(relaxed);
    return t;
}

Processor::Processor(const ParameterValues& parameters, ClipSlots& slots, CaptureRing& captured)
    : parameters_(parameters), slots_(slots), captured_(captured) {}

void Processor::reset() {
    sampler_.stopAll();
    auditionSlot_ = 0;
    lastDry_ = lastWet_ = -1;
}

void Processor::process(const AudioBlock& block) {
    slots_.enter();
    report(block.transport);
    capture(block);
    passInput(block);

    const int asked = parameters_.whole(kTake);
    const int chosen = asked > 0 ? asked : slots_.newest();
    takeUpWishes(chosen);
    const GainRamp wet = ramp(lastWet_, takeLevel() * wetShare(parameters_.get(kMix)));
    status.soundingTake.store(0, relaxed);
    if (!playAudition(block, wet))
        playSong(block, chosen, wet);
    playNotes(block, chosen, wet.to);
    slots_.leave();
}

void Processor::report(const Transport& t) {
    if (t.playing && !rolling_)
        status.rolledFrom.store(t.frame, relaxed);
    rolling_ = t.playing;
    status.playing.store(t.playing, relaxed);
    status.hasBars.store(t.hasBars, relaxed);
    status.frame.store(t.frame, relaxed);
    status.bpm.store(t.bpm, relaxed);
    status.beat.store(t.beat, relaxed);
    status.beatsPerBar.store(t.beatsPerBar, relaxed);
    status.beatType.store(t.beatType, relaxed);
    status.bar.store(t.bar, relaxed);
}

void Processor::capture(const AudioBlock& block) {
    const Transport& song = block.transport;
    if (parameters_.isOn(kCapture) && song.playing) {
        captured_.write(song.frame, block.inputs[0], block.inputs[1], block.frames);
        capturing_ = true;
    } else if (capturing_) {
        capturing_ = !captured_.end();
    }
}

void Processor::passInput(const AudioBlock& block) {
    const float share = dryShare(parameters_.get(kMix));
    const GainRamp dry = ramp(lastDry_, parameters_.get(kDry) * share);
    for (std::uint32_t k = 0; k < block.frames; ++k) {
        // Both are read before one is written: hosts may hand in the same memory.
        const float left = block.inputs[0][k], right = block.inputs[1][k];
        const float level = dry.at(k, block.frames);
        block.outputs[0][k] = left * level;
        block.outputs[1][k] = right * level;
    }
}

void Processor::takeUpWishes(int chosen) {
    const unsigned triggers = parameters_.presses(kTrigger);
    const bool triggered = triggers != triggersSeen_;
    triggersSeen_ = triggers;
    int wish = auditionWish.exchange(kNoWish, relaxed);
    if (triggered)
        wish = chosen;
    if (wish == kNoWish)
        return;
    auditionSlot_ = wish;
    auditionFrame_ = 0;
}

/** The audition of one take; while it sounds the song's take is silent. */
bool Processor::playAudition(const AudioBlock& block, GainRamp gain) {
    const Clip* clip = auditionSlot_ > 0 ? slots_.get(auditionSlot_) : nullptr;
    if (clip == nullptr) {
        // Else it would sound later, when a missing take comes back.
        auditionSlot_ = 0;
        return false;
    }
    const bool loop = parameters_.isOn(kLoop) && clip->followsSong;
    playInSong(*clip, clip->anchor + auditionFrame_, loop, gain, block.outputs[0], block.outputs[1],
               block.frames);
    status.soundingTake.store(auditionSlot_, relaxed);
    status.soundingFrame.store(clipFrame(*clip, clip->anchor + auditionFrame_, loop), relaxed);
    auditionFrame_ += block.frames;
    if (!loop && auditionFrame_ >= std::int64_t(clip->sound->frames()))
        auditionSlot_ = 0;
    return true;
}

void Processor::playSong(const AudioBlock& block, int chosen, GainRamp gain) {
    const Clip* clip = slots_.get(chosen);
    if (clip == nullptr || !clip->followsSong || !block.transport.playing ||
        !parameters_.isOn(kPlay))
        return;
    const bool loop = parameters_.isOn(kLoop);
    playInSong(*clip, block.transport.frame, loop, gain, block.outputs[0], block.outputs[1],
               block.frames);
    const std::int64_t at = clipFrame(*clip, block.transport.frame, loop);
    status.soundingTake.store(at < 0 ? 0 : chosen, relaxed);
    status.soundingFrame.store(at, relaxed);
}

void Processor::playNotes(const AudioBlock& block, int chosen, float gain) {
    if (block.numNotes == 0 && sampler_.isSilent())
        return;
    SamplerSettings settings;
    settings.mode = parameters_.midiMode();
    settings.pitchFollow = parameters_.isOn(kPitchFollow);
    settings.sampleRate = sampleRate_;
    settings.gain = gain;
    sampler_.process(slots_, chosen, settings, block.notes, block.numNotes, block.outputs[0],
                     block.outputs[1], block.frames);
}

/** The first block begins with its own gain, later ones move to theirs. */
GainRamp Processor::ramp(float& last, float now) const {
    const GainRamp ramp{last < 0 ? now : last, now};
    last = now;
    return ramp;
}

float Processor::takeLevel() {
    const float db = parameters_.get(kGain);
    if (db != gainDb_) {
        gainDb_ = db;
        gain_ = db <= parameterInfo(kGain).minimum ? 0.0f : std::pow(10.0f, db / 20);
    }
    return gain_;
}

} // namespace audioldm
