#include "audio/sampler.hpp"

#include <algorithm>
#include <cmath>

namespace audioldm {

namespace {

enum : std::uint8_t { kNoteOff = 0x80, kNoteOn = 0x90, kController = 0xB0 };
enum : std::uint8_t { kAllSoundOff = 120, kAllNotesOff = 123 };

/** Between two samples, a straight line; exact at whole positions. */
float sampleAt(const float* samples, std::size_t frames, double position, bool repeats) {
    const std::size_t whole = std::size_t(position);
    const float fraction = float(position - double(whole));
    const float here = samples[whole];
    if (fraction == 0)
        return here;
    const std::size_t after = whole + 1;
    const float next = after < frames ? samples[after] : repeats ? samples[0] : 0.0f;
    return here + fraction * (next - here);
}

} // namespace

void Sampler::process(const ClipSlots& slots, int chosen, const SamplerSettings& settings,
                      const NoteEvent* events, std::uint32_t numEvents, float* left, float* right,
                      std::uint32_t frames) {
    dropChanged(slots);
    std::uint32_t from = 0;
    for (std::uint32_t next = 0; next <= numEvents; ++next) {
        const std::uint32_t to =
            next < numEvents ? std::clamp(events[next].frame, from, frames) : frames;
        for (Voice& voice : voices_)
            if (voice.slot != 0)
                render(voice, settings.gain, left + from, right + from, to - from);
        if (next < numEvents)
            handle(events[next], slots, chosen, settings);
        from = to;
    }
}

void Sampler::stopAll() {
    voices_.fill({});
}

bool Sampler::isSilent() const {
    return std::all_of(voices_.begin(), voices_.end(), [](const Voice& v) { return v.slot == 0; });
}

void Sampler::handle(const NoteEvent& event, const ClipSlots& slots, int chosen,
                     const SamplerSettings& settings) {
    const int channel = event.status & 0x0F;
    const std::uint8_t kind = event.status & 0xF0;
    if (kind == kNoteOn && event.data2 > 0)
        start(channel, event.data1, event.data2, slots, chosen, settings);
    else if (kind == kNoteOff || kind == kNoteOn)
        release(channel, event.data1);
    else if (kind == kController && event.data1 == kAllSoundOff)
        stopAll();
    else if (kind == kController && event.data1 == kAllNotesOff)
        releaseAll(channel);
}

void Sampler::start(int channel, int note, int velocity, const ClipSlots& slots, int chosen,
                    const SamplerSettings& settings) {
    const Clip* clip = slots.get(chosen);
    if (settings.mode == MidiMode::off || clip == nullptr || clip->sound->frames() == 0)
        return;
    Voice& voice = freeVoice();
    voice = {};
    voice.slot = chosen;
    voice.sound = clip->sound.get();
    voice.step = settings.pitchFollow ? std::exp2((note - kRootNote) / 12.0) : 1.0;
    const float loudness = float(velocity) / 127.0f;
    voice.gain = loudness * loudness;
    voice.releaseFrames = std::max(1, int(kReleaseSeconds * settings.sampleRate));
    voice.repeats = settings.mode == MidiMode::loop;
    voice.ignoresNoteOff = settings.mode == MidiMode::oneShot;
    voice.note = note;
    voice.channel = channel;
    voice.age = ++age_;
}

void Sampler::release(int channel, int note) {
    for (Voice& voice : voices_)
        if (voice.note == note && voice.channel == channel && !voice.ignoresNoteOff)
            voice.release();
}

void Sampler::releaseAll(int channel) {
    for (Voice& voice : voices_)
        if (voice.channel == channel)
            voice.release();
}

void Sampler::Voice::release() {
    if (slot != 0 && releaseLeft < 0)
        releaseLeft = releaseFrames;
}

/** Voices never keep a pointer over a change of their slot: its sound may be gone. */
void Sampler::dropChanged(const ClipSlots& slots) {
    for (Voice& voice : voices_) {
        const Clip* clip = voice.slot != 0 ? slots.get(voice.slot) : nullptr;
        if (voice.slot != 0 && (clip == nullptr || clip->sound.get() != voice.sound))
            voice = {};
    }
}

Sampler::Voice& Sampler::freeVoice() {
    const auto sooner = [](const Voice& a, const Voice& b) {
        return (a.slot == 0 ? 0 : a.age) < (b.slot == 0 ? 0 : b.age);
    };
    return *std::min_element(voices_.begin(), voices_.end(), sooner);
}

void Sampler::render(Voice& voice, float gain, float* left, float* right, std::uint32_t frames) {
    const Sound& sound = *voice.sound;
    const double end = double(sound.frames());
    for (std::uint32_t k = 0; k < frames; ++k) {
        if (voice.position >= end) {
            if (!voice.repeats) {
                voice = {};
                return;
            }
            voice.position = std::fmod(voice.position, end);
        }
        if (voice.releaseLeft == 0) {
            voice = {};
            return;
        }
        float level = gain * voice.gain;
        if (voice.releaseLeft > 0)
            level *= float(voice.releaseLeft--) / float(voice.releaseFrames);
        const double at = voice.position;
        left[k] += level * sampleAt(sound.channel(0), sound.frames(), at, voice.repeats);
        right[k] += level * sampleAt(sound.channel(1), sound.frames(), at, voice.repeats);
        voice.position += voice.step;
    }
}

} // namespace audioldm
