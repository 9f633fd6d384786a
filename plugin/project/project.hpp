// The prompt and the takes of one instance, shared by the host's threads, the link and the editor.
#pragma once

#include "audio/clip_slots.hpp"
#include "files/overview.hpp"
#include "project/project_data.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace audioldm {

/** A take, and what was read from its file. */
struct Take : TakeRecord {
    /** At the host's sample rate; null while the file is missing. */
    SoundPtr sound;
    std::shared_ptr<const Overview> overview;
    /** Why there is no sound. */
    std::string problem;

    double seconds() const { return overview ? overview->seconds : 0; }
};

/** A copy of everything, at one moment. */
struct ProjectView : ProjectData {
    std::vector<Take> loaded;
    unsigned version = 0;

    const Take* find(int number) const;
    /** The take that plays for a value of the parameter `take`: 0 is the newest. */
    const Take* chosen(int asked) const;
};

class Project {
  public:
    explicit Project(ClipSlots& slots) : slots_(slots) {}

    ProjectView view() const;
    /** Goes up with each change. */
    unsigned version() const { return version_.load(); }
    double sampleRate() const { return sampleRate_.load(); }

    void setPrompt(const std::string& prompt);
    void setNegativePrompt(const std::string& prompt);
    void setPreset(const std::string& name, std::vector<Field> fields);
    void setPlacement(SongPosition position);

    /** Adds a take under the next number and reads its file; 0 where 999 takes were made. */
    int add(TakeRecord record);
    void remove(int number);
    void setKept(int number, bool kept);
    void setAnchor(int number, SongPosition anchor);
    /** A take that was missing lies there now. */
    void setFile(int number, const std::string& path);

    std::string text() const;
    /** Reads every file before it returns: an export may begin right after.
     *  Throws std::runtime_error, and leaves the project as it is, for another version's text. */
    void restore(const std::string& text);
    /** Reads every file again where the rate changed. */
    void setSampleRate(double rate);

  private:
    Take load(TakeRecord record) const;
    void publish(const Take& take);
    void publishNewest();
    template <class Change>
    void change(int number, Change change);
    template <class Change>
    void changeProject(Change change);

    ClipSlots& slots_;
    mutable std::mutex mutex_;
    ProjectData data_;
    std::vector<Take> takes_;
    int lastNumber_ = 0;
    std::atomic<double> sampleRate_{48000};
    std::atomic<unsigned> version_{0};
};

} // namespace audioldm
