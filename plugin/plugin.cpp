#include "plugin.hpp"

// DPF's limit of events.
#include "src/DistrhoPluginInternal.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>

using audioldm::ParameterInfo;
using audioldm::parameterInfo;

START_NAMESPACE_DISTRHO

namespace {

constexpr const char* kProjectKey = "project";

uint32_t parameterHints(const ParameterInfo& info) {
    switch (info.kind) {
    case ParameterInfo::number: return kParameterIsAutomatable;
    case ParameterInfo::whole:
    case ParameterInfo::choice: return kParameterIsAutomatable | kParameterIsInteger;
    case ParameterInfo::toggle: return kParameterIsAutomatable | kParameterIsBoolean;
    case ParameterInfo::counter: return kParameterIsInteger;
    case ParameterInfo::numberOut: return kParameterIsOutput;
    case ParameterInfo::wholeOut: return kParameterIsOutput | kParameterIsInteger;
    case ParameterInfo::toggleOut: return kParameterIsOutput | kParameterIsBoolean;
    }
    return 0;
}

void nameChoices(Parameter& parameter) {
    const auto& names = audioldm::kMidiModeNames;
    parameter.enumValues.count = uint8_t(names.size());
    parameter.enumValues.restrictedMode = true;
    parameter.enumValues.values = new ParameterEnumerationValue[names.size()];
    for (size_t k = 0; k < names.size(); ++k) {
        parameter.enumValues.values[k].value = float(k);
        parameter.enumValues.values[k].label = names[k];
    }
}

audioldm::Transport transportOf(const TimePosition& position) {
    audioldm::Transport t;
    t.playing = position.playing;
    t.frame = int64_t(position.frame);
    t.hasBars = position.bbt.valid;
    if (!position.bbt.valid)
        return t;
    t.bpm = position.bbt.beatsPerMinute;
    t.beatsPerBar = std::max(1, int(position.bbt.beatsPerBar));
    t.beatType = std::max(1, int(position.bbt.beatType));
    t.bar = position.bbt.bar;
    t.beat = position.bbt.beat - 1 + position.bbt.tick / position.bbt.ticksPerBeat;
    return t;
}

} // namespace

AudioLdmPlugin::AudioLdmPlugin() : Plugin(audioldm::kNumParameters, 0, 1) {
    instance_.setSampleRate(getSampleRate());
    // Hosts make dummies to read names and parameters; these must start no thread.
    if (!isDummyInstance())
        instance_.link.start();
}

const char* AudioLdmPlugin::getDescription() const {
    return "Sounds from words, rendered by the companion audioldm-daw and played in the song.";
}

uint32_t AudioLdmPlugin::getVersion() const {
    int major = 0, minor = 0, micro = 0;
    std::sscanf(AUDIOLDM_VERSION, "%d.%d.%d", &major, &minor, &micro);
    return d_version(uint8_t(major), uint8_t(minor), uint8_t(micro));
}

void AudioLdmPlugin::initAudioPort(bool input, uint32_t index, AudioPort& port) {
    port.groupId = kPortGroupStereo;
    Plugin::initAudioPort(input, index, port);
}

void AudioLdmPlugin::initParameter(uint32_t index, Parameter& parameter) {
    const ParameterInfo& info = parameterInfo(index);
    parameter.symbol = info.symbol;
    parameter.name = info.name;
    parameter.unit = info.unit;
    parameter.hints = parameterHints(info);
    parameter.ranges = ParameterRanges(info.initial, info.minimum, info.maximum);
    if (info.kind == ParameterInfo::choice)
        nameChoices(parameter);
}

void AudioLdmPlugin::initState(uint32_t, State& state) {
    state.key = kProjectKey;
    state.label = "Project";
    state.hints = kStateIsOnlyForDSP;
}

float AudioLdmPlugin::getParameterValue(uint32_t index) const {
    // Buttons are never saved as pressed.
    const bool isButton = index == audioldm::kGenerate || index == audioldm::kTrigger;
    return isButton ? 0 : instance_.parameters.get(index);
}

void AudioLdmPlugin::setParameterValue(uint32_t index, float value) {
    instance_.parameters.set(index, value);
}

String AudioLdmPlugin::getState(const char* key) const {
    return std::strcmp(key, kProjectKey) == 0 ? String(instance_.project.text().c_str()) : String();
}

void AudioLdmPlugin::setState(const char* key, const char* value) {
    if (std::strcmp(key, kProjectKey) == 0 && *value != '\0')
        instance_.restore(value);
}

void AudioLdmPlugin::activate() {
    instance_.processor.reset();
}

void AudioLdmPlugin::sampleRateChanged(double rate) {
    instance_.setSampleRate(rate);
}

void AudioLdmPlugin::run(const float** inputs, float** outputs, uint32_t frames,
                         const MidiEvent* events, uint32_t numEvents) {
    std::array<audioldm::NoteEvent, kMaxMidiEvents> notes;
    uint32_t numNotes = 0;
    for (uint32_t k = 0; k < numEvents && numNotes < kMaxMidiEvents; ++k)
        if (events[k].size >= 2 && events[k].size <= MidiEvent::kDataSize)
            notes[numNotes++] = {events[k].frame, events[k].data[0], events[k].data[1],
                                 events[k].data[2]};
    instance_.processor.process(
        {inputs, outputs, frames, notes.data(), numNotes, transportOf(getTimePosition())});
    instance_.parameters.enableButtons();
}

Plugin* createPlugin() {
    return new AudioLdmPlugin();
}

END_NAMESPACE_DISTRHO
