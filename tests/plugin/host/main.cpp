// The host as a program: one command a line on the input, one answer a line on the output.
//
//   load FILE                  the plug-in
//   new NAME RATE              an instance, the one that the other commands mean from now on
//   use NAME, close NAME
//   rate HZ                    another sample rate
//   set NAME = VALUE           a parameter, at the next block
//   get NAME
//   song BPM NUM DENOM
//   notes FRAME STATUS DATA1 DATA2, ...        of the next `run`
//   run FRAMES FROM BLOCK PACE INPUT OUTPUT    FROM -1: stopped; BLOCK 0: of random lengths;
//                              PACE 1: as fast as real time, 0: at once; files of interleaved
//                              32-bit floats or -
//   runall SECONDS BLOCK       all instances together, in real time, stopped
//   save FILE PIECE, restore FILE PIECE        the state in pieces of so many bytes
//   worst                      microseconds of the longest block since the last `worst`
//   forbidden                  calls in process() that real-time code must not make
#include "clap_host.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace {

using Samples = std::vector<float>;

Samples readSamples(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    Samples samples(bytes.size() / sizeof(float));
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(samples.data()));
    return samples;
}

void writeSamples(const std::string& path, const Samples& samples) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(samples.data()),
               std::streamsize(samples.size() * sizeof(float)));
}

const std::string kDone = "ok";

/** Memory of one block, as a plug-in wants it. */
struct Buffers {
    float in[2][Instance::kMaxBlock] = {}, out[2][Instance::kMaxBlock] = {};
    const float* inputs[2] = {in[0], in[1]};
    float* outputs[2] = {out[0], out[1]};

    void read(const Samples& from, std::int64_t frame, std::uint32_t frames) {
        for (std::size_t k = 0; k < frames; ++k)
            for (std::size_t c = 0; c < 2; ++c) {
                const std::size_t index = (std::size_t(frame) + k) * 2 + c;
                in[c][k] = index < from.size() ? from[index] : 0;
            }
    }
    void write(Samples& to, std::uint32_t frames) const {
        for (std::size_t k = 0; k < frames; ++k)
            to.insert(to.end(), {out[0][k], out[1][k]});
    }
};

class Host {
  public:
    std::string answer(const std::string& line);

  private:
    Instance& now() {
        const auto found = instances_.find(name_);
        if (found == instances_.end())
            throw std::runtime_error("no instance");
        return *found->second;
    }
    void create(const std::string& name, double rate);
    void run(std::istringstream& words);
    void set(const std::string& assignment);
    void save(const std::string& path, std::size_t piece);
    void restore(const std::string& path, std::size_t piece);
    void runAll(double seconds, std::uint32_t block);
    std::vector<Note> notesWithin(std::int64_t from, std::uint32_t frames) const;
    void readNotes(std::istringstream& words);

    Library library_;
    std::map<std::string, std::unique_ptr<Instance>> instances_;
    std::string name_;
    Song song_;
    std::vector<Note> notes_;
};

std::vector<Note> Host::notesWithin(std::int64_t from, std::uint32_t frames) const {
    std::vector<Note> within;
    for (Note note : notes_)
        if (note.frame >= from && note.frame < from + frames) {
            note.frame -= std::uint32_t(from);
            within.push_back(note);
        }
    return within;
}

void Host::create(const std::string& name, double rate) {
    name_ = name;
    instances_[name] = std::make_unique<Instance>(library_, rate);
}

void Host::run(std::istringstream& words) {
    std::int64_t length, from;
    std::uint32_t block;
    double pace;
    std::string inputPath, outputPath;
    words >> length >> from >> block >> pace >> inputPath >> outputPath;
    const Samples input = inputPath == "-" ? Samples() : readSamples(inputPath);
    Samples output;
    Buffers buffers;
    std::mt19937 random(5);
    song_.playing = from >= 0;
    song_.frame = std::max<std::int64_t>(0, from);
    for (std::int64_t at = 0; at < length;) {
        const std::uint32_t wanted = block > 0 ? block : 1 + random() % Instance::kMaxBlock;
        const auto frames = std::uint32_t(std::min<std::int64_t>(wanted, length - at));
        buffers.read(input, at, frames);
        now().process(song_, notesWithin(at, frames), buffers.inputs, buffers.outputs, frames);
        buffers.write(output, frames);
        at += frames;
        if (song_.playing)
            song_.frame += frames;
        std::this_thread::sleep_for(
            std::chrono::duration<double>(frames / now().sampleRate() * pace));
    }
    notes_.clear();
    if (outputPath != "-")
        writeSamples(outputPath, output);
}

void Host::runAll(double seconds, std::uint32_t block) {
    Buffers buffers;
    song_.playing = false;
    auto next = std::chrono::steady_clock::now();
    const auto end = next + std::chrono::duration<double>(seconds);
    while (next < end) {
        for (auto& instance : instances_)
            instance.second->process(song_, {}, buffers.inputs, buffers.outputs, block);
        next += std::chrono::nanoseconds(std::int64_t(block * 1e9 / 48000));
        std::this_thread::sleep_until(next);
    }
}

void Host::readNotes(std::istringstream& words) {
    int frame, status, data1, data2;
    char comma;
    while (words >> frame >> status >> data1 >> data2) {
        notes_.push_back({std::uint32_t(frame),
                          {std::uint8_t(status), std::uint8_t(data1), std::uint8_t(data2)}});
        words >> comma;
    }
}

void Host::save(const std::string& path, std::size_t piece) {
    std::ofstream(path, std::ios::binary) << now().save(piece);
}

void Host::restore(const std::string& path, std::size_t piece) {
    std::ifstream file(path, std::ios::binary);
    const std::string state((std::istreambuf_iterator<char>(file)), {});
    if (!now().restore(state, piece))
        throw std::runtime_error("the state was refused");
}

void Host::set(const std::string& assignment) {
    const std::size_t equals = assignment.find(" = ");
    if (!now().set(assignment.substr(0, equals), std::stod(assignment.substr(equals + 3))))
        throw std::runtime_error("no such parameter");
}

std::string Host::answer(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command >> std::ws;
    const auto rest = [&] { return line.substr(std::min(line.size(), command.size() + 1)); };
    const auto next = [&](auto value) {
        words >> value;
        return value;
    };
    const auto call = [&](auto function, auto first, auto second) {
        words >> first >> second;
        (this->*function)(first, second);
        return kDone;
    };
    const std::string text;
    const std::size_t bytes = 0;
    const std::map<std::string, std::function<std::string()>> commands{
        {"load", [&] { return library_.load(rest()) ? kDone : "error: cannot load it"; }},
        {"new", [&] { return call(&Host::create, text, 48000.0); }},
        {"use", [&] { return name_ = next(text), kDone; }},
        {"close", [&] { return instances_.erase(next(text)), kDone; }},
        {"rate", [&] { return now().setSampleRate(next(0.0)), kDone; }},
        {"set", [&] { return set(rest()), kDone; }},
        {"get", [&] { return std::to_string(now().get(rest())); }},
        {"song", [&] { return words >> song_.bpm >> song_.numerator >> song_.denominator, kDone; }},
        {"notes", [&] { return readNotes(words), kDone; }},
        {"run", [&] { return run(words), kDone; }},
        {"runall", [&] { return call(&Host::runAll, 0.0, 512u); }},
        {"save", [&] { return call(&Host::save, text, bytes); }},
        {"restore", [&] { return call(&Host::restore, text, bytes); }},
        {"worst", [&] { return std::to_string(now().takeWorstSeconds() * 1e6); }},
        {"forbidden", [&] { return std::to_string(forbiddenCalls()); }},
    };
    const auto found = commands.find(command);
    return found == commands.end() ? "error: unknown command" : found->second();
}

} // namespace

int main() {
    Host host;
    for (std::string line; std::getline(std::cin, line);) {
        try {
            std::cout << host.answer(line) << std::endl;
        } catch (const std::exception& error) {
            std::cout << "error: " << error.what() << std::endl;
        }
    }
}
