// A small CLAP host for tests: one plug-in file, any number of instances, no window.
#pragma once

#include "clap/entry.h"
#include "clap/plugin-factory.h"
// The headers above first: those below rely on them.
#include "clap/ext/params.h"
#include "clap/ext/state.h"
#include "clap/process.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

struct Note {
    std::uint32_t frame;
    std::uint8_t data[3];
};

/** Where the song is, as a host tells it to a plug-in. */
struct Song {
    bool playing = false;
    std::int64_t frame = 0;
    double bpm = 120;
    int numerator = 4, denominator = 4;
};

class Library {
  public:
    bool load(const std::string& path);
    const clap_plugin_t* create(const clap_host_t& host) const;

  private:
    const clap_plugin_factory_t* factory_ = nullptr;
};

class Instance {
  public:
    static constexpr std::uint32_t kMaxBlock = 512;

    Instance(const Library& library, double sampleRate);
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    void setSampleRate(double rate);
    double sampleRate() const { return sampleRate_; }
    bool set(const std::string& name, double value);
    double get(const std::string& name) const;
    /** One block; the longest one since the last call of takeWorstSeconds() is remembered. */
    void process(const Song& song, const std::vector<Note>& notes, const float* const inputs[2],
                 float* const outputs[2], std::uint32_t frames);
    double takeWorstSeconds();
    /** The state, written and read in pieces of at most `piece` bytes. */
    std::string save(std::size_t piece) const;
    bool restore(const std::string& state, std::size_t piece) const;

  private:
    void activate();
    template <class Extension>
    const Extension* extension(const char* id) const {
        return static_cast<const Extension*>(plugin_->get_extension(plugin_, id));
    }

    clap_host_t host_{};
    const clap_plugin_t* plugin_ = nullptr;
    double sampleRate_;
    std::map<std::string, clap_id> parameters_;
    std::map<clap_id, double> changes_;
    std::int64_t steadyTime_ = 0;
    double worstSeconds_ = 0;
};

/** Forbidden calls in process(), where rt_check.so is preloaded; else -1. */
long forbiddenCalls();
