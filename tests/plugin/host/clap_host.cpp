#include "clap_host.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#ifdef _WIN32
#include <windows.h>
namespace {
void* openLibrary(const char* path) {
    return reinterpret_cast<void*>(LoadLibraryA(path));
}
void* symbol(void* library, const char* name) {
    return reinterpret_cast<void*>(GetProcAddress(HMODULE(library), name));
}
void* ownSymbol(const char*) {
    return nullptr;
}
} // namespace
#else
#include <dlfcn.h>
namespace {
void* openLibrary(const char* path) {
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}
void* symbol(void* library, const char* name) {
    return dlsym(library, name);
}
void* ownSymbol(const char* name) {
    return dlsym(RTLD_DEFAULT, name);
}
} // namespace
#endif

namespace {

using Mark = void (*)();
const Mark enter = reinterpret_cast<Mark>(ownSymbol("rt_enter"));
const Mark leave = reinterpret_cast<Mark>(ownSymbol("rt_leave"));

clap_event_transport_t transportOf(const Song& song, double sampleRate) {
    clap_event_transport_t t{};
    t.header.size = sizeof t;
    t.header.type = CLAP_EVENT_TRANSPORT;
    t.flags = CLAP_TRANSPORT_HAS_TEMPO | CLAP_TRANSPORT_HAS_BEATS_TIMELINE |
              CLAP_TRANSPORT_HAS_SECONDS_TIMELINE | CLAP_TRANSPORT_HAS_TIME_SIGNATURE;
    if (song.playing)
        t.flags |= CLAP_TRANSPORT_IS_PLAYING;
    const double seconds = double(song.frame) / sampleRate;
    t.tempo = song.bpm;
    t.tsig_num = std::int16_t(song.numerator);
    t.tsig_denom = std::int16_t(song.denominator);
    t.song_pos_seconds = std::llround(seconds * CLAP_SECTIME_FACTOR);
    t.song_pos_beats = std::llround(seconds * song.bpm / 60 * CLAP_BEATTIME_FACTOR);
    return t;
}

/** Parameter changes and notes of one block, in the order that CLAP wants. */
struct InputEvents {
    std::vector<clap_event_param_value_t> values;
    std::vector<clap_event_midi_t> notes;

    void add(clap_id parameter, double value) {
        clap_event_param_value_t event{};
        event.header = {sizeof event, 0, CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_PARAM_VALUE, 0};
        event.param_id = parameter;
        event.note_id = event.port_index = event.channel = event.key = -1;
        event.value = value;
        values.push_back(event);
    }
    void add(const Note& note) {
        clap_event_midi_t event{};
        event.header = {sizeof event, note.frame, CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_MIDI, 0};
        std::memcpy(event.data, note.data, sizeof event.data);
        notes.push_back(event);
    }
    static std::uint32_t size(const clap_input_events_t* list) {
        const auto* self = static_cast<const InputEvents*>(list->ctx);
        return std::uint32_t(self->values.size() + self->notes.size());
    }
    static const clap_event_header_t* get(const clap_input_events_t* list, std::uint32_t index) {
        const auto* self = static_cast<const InputEvents*>(list->ctx);
        if (index < self->values.size())
            return &self->values[index].header;
        return &self->notes[index - self->values.size()].header;
    }
};

} // namespace

long forbiddenCalls() {
    const auto count = reinterpret_cast<long (*)()>(ownSymbol("rt_count"));
    return count == nullptr ? -1 : count();
}

bool Library::load(const std::string& path) {
    void* library = openLibrary(path.c_str());
    if (library == nullptr)
        return false;
    const auto* entry = static_cast<const clap_plugin_entry_t*>(symbol(library, "clap_entry"));
    if (entry == nullptr || !entry->init(path.c_str()))
        return false;
    factory_ =
        static_cast<const clap_plugin_factory_t*>(entry->get_factory(CLAP_PLUGIN_FACTORY_ID));
    return factory_ != nullptr;
}

const clap_plugin_t* Library::create(const clap_host_t& host) const {
    return factory_->create_plugin(factory_, &host,
                                   factory_->get_plugin_descriptor(factory_, 0)->id);
}

Instance::Instance(const Library& library, double sampleRate) : sampleRate_(sampleRate) {
    host_.clap_version = CLAP_VERSION;
    host_.name = host_.vendor = host_.url = host_.version = "test";
    host_.get_extension = [](const clap_host_t*, const char*) -> const void* { return nullptr; };
    host_.request_restart = host_.request_process =
        host_.request_callback = [](const clap_host_t*) {};
    plugin_ = library.create(host_);
    if (plugin_ == nullptr || !plugin_->init(plugin_))
        throw std::runtime_error("the plug-in could not be created");
    const auto* params = extension<clap_plugin_params_t>(CLAP_EXT_PARAMS);
    for (std::uint32_t k = 0; k < params->count(plugin_); ++k) {
        clap_param_info_t info;
        params->get_info(plugin_, k, &info);
        parameters_[info.name] = info.id;
    }
    activate();
}

Instance::~Instance() {
    plugin_->stop_processing(plugin_);
    plugin_->deactivate(plugin_);
    plugin_->destroy(plugin_);
}

void Instance::activate() {
    plugin_->activate(plugin_, sampleRate_, 1, kMaxBlock);
    plugin_->start_processing(plugin_);
}

void Instance::setSampleRate(double rate) {
    plugin_->stop_processing(plugin_);
    plugin_->deactivate(plugin_);
    sampleRate_ = rate;
    activate();
}

bool Instance::set(const std::string& name, double value) {
    const auto found = parameters_.find(name);
    if (found != parameters_.end())
        changes_[found->second] = value;
    return found != parameters_.end();
}

double Instance::get(const std::string& name) const {
    double value = std::nan("");
    const auto found = parameters_.find(name);
    if (found != parameters_.end())
        extension<clap_plugin_params_t>(CLAP_EXT_PARAMS)->get_value(plugin_, found->second, &value);
    return value;
}

void Instance::process(const Song& song, const std::vector<Note>& notes,
                       const float* const inputs[2], float* const outputs[2],
                       std::uint32_t frames) {
    InputEvents events;
    for (const auto& change : changes_)
        events.add(change.first, change.second);
    changes_.clear();
    for (const Note& note : notes)
        events.add(note);
    const clap_input_events_t in{&events, InputEvents::size, InputEvents::get};
    const clap_output_events_t out{
        nullptr, [](const clap_output_events_t*, const clap_event_header_t*) { return true; }};
    const clap_event_transport_t transport = transportOf(song, sampleRate_);
    clap_audio_buffer_t input{}, output{};
    input.data32 = const_cast<float**>(inputs);
    output.data32 = const_cast<float**>(outputs);
    input.channel_count = output.channel_count = 2;
    const clap_process_t block{steadyTime_, frames, &transport, &input, &output, 1, 1, &in, &out};

    const auto began = std::chrono::steady_clock::now();
    if (enter != nullptr)
        enter();
    plugin_->process(plugin_, &block);
    if (leave != nullptr)
        leave();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    worstSeconds_ = std::max(worstSeconds_, took.count());
    steadyTime_ += frames;
}

double Instance::takeWorstSeconds() {
    const double worst = worstSeconds_;
    worstSeconds_ = 0;
    return worst;
}

std::string Instance::save(std::size_t piece) const {
    struct Sink {
        std::string state;
        std::size_t piece;
    } sink{"", piece};
    const clap_ostream_t stream{
        &sink, [](const clap_ostream_t* self, const void* bytes, std::uint64_t size) {
            auto* to = static_cast<Sink*>(self->ctx);
            size = std::min<std::uint64_t>(size, to->piece);
            to->state.append(static_cast<const char*>(bytes), std::size_t(size));
            return std::int64_t(size);
        }};
    extension<clap_plugin_state_t>(CLAP_EXT_STATE)->save(plugin_, &stream);
    return sink.state;
}

bool Instance::restore(const std::string& state, std::size_t piece) const {
    struct Source {
        const std::string& state;
        std::size_t at, piece;
    } source{state, 0, piece};
    const clap_istream_t stream{
        &source, [](const clap_istream_t* self, void* bytes, std::uint64_t size) {
            auto* from = static_cast<Source*>(self->ctx);
            size = std::min<std::uint64_t>({size, from->piece, from->state.size() - from->at});
            std::memcpy(bytes, from->state.data() + from->at, size);
            from->at += size;
            return std::int64_t(size);
        }};
    return extension<clap_plugin_state_t>(CLAP_EXT_STATE)->load(plugin_, &stream);
}
