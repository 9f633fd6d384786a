// One instance of the plug-in without a host and without a window: an audio thread that runs in
// real time, and commands for what the editor does. Built with sanitizers, too.
//
//   prompt TEXT, set SYMBOL VALUE, generate, edit KIND TAKE FROM TO, cancel, file PATH, preset NAME
//   keep TAKE, remove TAKE, anchor TAKE FRAME, placement FRAME, audition TAKE, reconnect
//   play FRAME, stop, song BPM BEATS TYPE, rate HZ
//   save PATH, restore PATH
//   view            everything as JSON
//   worst           microseconds of the longest block since the last `worst`, of those in which
//                   the system gave the core to nobody else
//   waits           how often process() waited for something, from the beginning
#include "instance.hpp"
#include "link/net/json.hpp"
#include "project/numbers.hpp"

#include <array>
#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <mutex>
#include <sstream>
#include <sys/resource.h>
#include <thread>

namespace {

using namespace audioldm;

/** What the track plays at a frame of the song; the tests compute the same. */
float trackSample(std::int64_t frame) {
    return float((std::uint64_t(frame) * 7919 + 13) % 20011) / 20011.0f - 0.5f;
}

/** Of the calling thread: how often it waited, and how often another one got its core. */
rusage threadUsage() {
    rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage;
}

/** Calls the processor as a host does, in a thread of its own. */
class AudioThread {
  public:
    static constexpr std::uint32_t kFrames = 256;

    explicit AudioThread(Instance& instance) : instance_(instance) {}
    ~AudioThread() {
        running_ = false;
        thread_.join();
    }

    void locate(bool playing, std::int64_t frame) {
        const std::lock_guard<std::mutex> lock(mutex_);
        song_.playing = playing;
        song_.frame = frame;
    }
    void metre(double bpm, int beats, int type) {
        const std::lock_guard<std::mutex> lock(mutex_);
        song_.bpm = bpm;
        song_.beatsPerBar = beats;
        song_.beatType = type;
    }
    double takeWorst() { return worst_.exchange(0); }
    long waits() const { return waits_.load(); }
    float peak() const { return peak_.load(); }

  private:
    void loop() {
        auto next = std::chrono::steady_clock::now();
        while (running_) {
            block();
            next += std::chrono::nanoseconds(
                std::int64_t(kFrames * 1e9 / instance_.project.sampleRate()));
            std::this_thread::sleep_until(next);
        }
    }
    void block() {
        std::array<float, kFrames> in, left, right;
        Transport song;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            song = song_;
            if (song_.playing)
                song_.frame += kFrames;
        }
        for (std::uint32_t k = 0; k < kFrames; ++k)
            in[k] = trackSample(song.frame + k);
        const float* inputs[] = {in.data(), in.data()};
        float* outputs[] = {left.data(), right.data()};
        const rusage before = threadUsage();
        const auto began = std::chrono::steady_clock::now();
        instance_.processor.process({inputs, outputs, kFrames, nullptr, 0, song});
        instance_.parameters.enableButtons();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
        const rusage after = threadUsage();
        waits_ += after.ru_nvcsw - before.ru_nvcsw;
        if (after.ru_nivcsw == before.ru_nivcsw)
            worst_ = std::max(worst_.load(), took.count());
        float peak = 0;
        for (const float sample : left)
            peak = std::max(peak, std::fabs(sample));
        peak_ = peak;
    }

    Instance& instance_;
    std::mutex mutex_;
    Transport song_;
    std::atomic<double> worst_{0};
    std::atomic<long> waits_{0};
    std::atomic<float> peak_{0};
    std::atomic<bool> running_{true};
    std::thread thread_{[this] { loop(); }};
};

std::string takeJson(const Take& take) {
    std::ostringstream out;
    out << "{\"number\":" << take.number << ",\"path\":" << Json::quoted(take.path)
        << ",\"kind\":" << Json::quoted(take.request.kind)
        << ",\"prompt\":" << Json::quoted(take.request.prompt) << ",\"seed\":" << take.seed
        << ",\"score\":" << take.score << ",\"seconds\":" << take.seconds()
        << ",\"anchor\":" << take.anchor.frame << ",\"kept\":" << take.kept
        << ",\"silent\":" << take.silent << ",\"source\":" << int(take.source)
        << ",\"problem\":" << Json::quoted(take.problem) << '}';
    return out.str();
}

std::string viewJson(const Instance& instance, const AudioThread& audio) {
    const LinkView link = instance.link.view();
    const ProjectView project = instance.project.view();
    std::ostringstream out;
    out << "{\"connection\":" << int(link.connection)
        << ",\"companion\":" << Json::quoted(link.companion)
        << ",\"other_version\":" << link.otherVersion
        << ",\"notice\":" << Json::quoted(link.notice) << ",\"peak\":" << audio.peak()
        << ",\"captured\":" << link.capturedSeconds << ",\"presets\":" << link.presets.size()
        << ",\"prompt\":" << Json::quoted(project.prompt)
        << ",\"bars\":" << instance.parameters.get(kBars)
        << ",\"seconds\":" << instance.parameters.get(kSeconds)
        << ",\"num_preset_fields\":" << project.presetFields.size() << ",\"jobs\":[";
    for (std::size_t k = 0; k < link.jobs.size(); ++k)
        out << (k > 0 ? "," : "") << "{\"progress\":" << link.jobs[k].progress
            << ",\"seconds_left\":" << link.jobs[k].secondsLeft << '}';
    out << "],\"takes\":[";
    for (std::size_t k = 0; k < project.loaded.size(); ++k)
        out << (k > 0 ? "," : "") << takeJson(project.loaded[k]);
    out << "]}";
    return out.str();
}

void setParameter(ParameterValues& parameters, const std::string& symbol, float value) {
    for (std::uint32_t index = 0; index < kNumParameters; ++index)
        if (parameterInfo(index).symbol == symbol)
            parameters.set(index, value);
}

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(file)), {});
}

class Probe {
  public:
    Probe() { instance_.link.start(); }

    std::string answer(const std::string& line) {
        std::istringstream words(line);
        std::string command, rest;
        words >> command;
        if (words.peek() == ' ')
            words.get();
        std::getline(words, rest);
        std::istringstream arguments(rest);
        const auto next = [&] {
            double value = 0;
            arguments >> value;
            return value;
        };
        const std::map<std::string, std::function<void()>> commands{
            {"prompt", [&] { instance_.project.setPrompt(rest); }},
            {"set", [&] { set(arguments); }},
            {"generate", [&] { instance_.link.generate(); }},
            {"edit", [&] { edit(arguments); }},
            {"cancel", [&] { instance_.link.cancel(); }},
            {"file", [&] { instance_.link.addFile(rest); }},
            {"preset", [&] { instance_.link.usePreset(rest); }},
            {"keep", [&] { instance_.project.setKept(int(next()), true); }},
            {"remove", [&] { instance_.project.remove(int(next())); }},
            {"anchor", [&] { anchor(arguments); }},
            {"placement", [&] { instance_.project.setPlacement({std::int64_t(next()), rate()}); }},
            {"audition", [&] { instance_.processor.auditionWish = int(next()); }},
            {"reconnect", [&] { instance_.link.reconnect(); }},
            {"play", [&] { audio_.locate(true, std::int64_t(next())); }},
            {"stop", [&] { audio_.locate(false, 0); }},
            {"song", [&] { song(arguments); }},
            {"rate", [&] { instance_.setSampleRate(next()); }},
            {"save", [&] { std::ofstream(rest, std::ios::binary) << instance_.project.text(); }},
            {"restore", [&] { instance_.restore(contents(rest)); }},
        };
        if (command == "view")
            return viewJson(instance_, audio_);
        if (command == "worst")
            return toText(audio_.takeWorst() * 1e6);
        if (command == "waits")
            return toText(audio_.waits());
        const auto found = commands.find(command);
        if (found == commands.end())
            return "error: unknown command";
        found->second();
        return "ok";
    }

  private:
    double rate() const { return instance_.project.sampleRate(); }
    void set(std::istringstream& arguments) {
        std::string symbol;
        float value;
        arguments >> symbol >> value;
        setParameter(instance_.parameters, symbol, value);
    }
    void edit(std::istringstream& arguments) {
        Edit edit;
        arguments >> edit.kind >> edit.take >> edit.selection.from >> edit.selection.to;
        instance_.link.edit(edit);
    }
    void anchor(std::istringstream& arguments) {
        int take;
        std::int64_t frame;
        arguments >> take >> frame;
        instance_.project.setAnchor(take, {frame, rate()});
    }
    void song(std::istringstream& arguments) {
        double bpm;
        int beats, type;
        arguments >> bpm >> beats >> type;
        audio_.metre(bpm, beats, type);
    }

    Instance instance_;
    AudioThread audio_{instance_};
};

} // namespace

int main() {
    Probe probe;
    for (std::string line; std::getline(std::cin, line);)
        std::cout << probe.answer(line) << std::endl;
}
