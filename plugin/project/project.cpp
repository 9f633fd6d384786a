#include "project/project.hpp"

#include "files/resampler.hpp"
#include "files/wav_reader.hpp"
#include "project/project_text.hpp"

#include <algorithm>

namespace audioldm {

namespace {

constexpr double kDefaultBeatsPerBar = 4;

/** Exact length of one repetition: of the bars that were asked for, else of the sound itself. */
double repeatFrames(const Take& take) {
    const double bars = take.request.number("bars", 0), bpm = take.request.number("bpm", 0);
    if (bars <= 0 || bpm <= 0)
        return double(take.sound->frames());
    const double beats = bars * take.request.number("beats_per_bar", kDefaultBeatsPerBar);
    return beats * 60 / bpm * take.sound->sampleRate;
}

template <class Takes>
auto findTake(Takes& takes, int number) {
    return std::find_if(takes.begin(), takes.end(),
                        [number](const Take& take) { return take.number == number; });
}

} // namespace

const Take* ProjectView::find(int number) const {
    const auto found = findTake(loaded, number);
    return found == loaded.end() ? nullptr : &*found;
}

const Take* ProjectView::chosen(int asked) const {
    return asked > 0 ? find(asked) : loaded.empty() ? nullptr : &loaded.back();
}

ProjectView Project::view() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    ProjectView view;
    static_cast<ProjectData&>(view) = data_;
    view.loaded = takes_;
    view.version = version_.load();
    return view;
}

template <class Change>
void Project::changeProject(Change change) {
    const std::lock_guard<std::mutex> lock(mutex_);
    change(data_);
    ++version_;
}

template <class Change>
void Project::change(int number, Change change) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = findTake(takes_, number);
    if (found == takes_.end())
        return;
    change(*found);
    publish(*found);
    ++version_;
}

void Project::setPrompt(const std::string& prompt) {
    changeProject([&](ProjectData& data) { data.prompt = prompt; });
}

void Project::setNegativePrompt(const std::string& prompt) {
    changeProject([&](ProjectData& data) { data.negativePrompt = prompt; });
}

void Project::setPreset(const std::string& name, std::vector<Field> fields) {
    changeProject([&](ProjectData& data) {
        data.preset = name;
        data.presetFields = std::move(fields);
    });
}

void Project::setPlacement(SongPosition position) {
    changeProject([&](ProjectData& data) { data.placement = position; });
}

int Project::add(TakeRecord record) {
    Take take = load(std::move(record));
    const std::lock_guard<std::mutex> lock(mutex_);
    if (lastNumber_ + 1 >= ClipSlots::kNumSlots)
        return 0;
    take.number = ++lastNumber_;
    takes_.push_back(take);
    publish(take);
    publishNewest();
    ++version_;
    return take.number;
}

void Project::remove(int number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = findTake(takes_, number);
    if (found == takes_.end())
        return;
    takes_.erase(found);
    slots_.publish(number, nullptr);
    publishNewest();
    ++version_;
}

void Project::setKept(int number, bool kept) {
    change(number, [&](Take& take) { take.kept = kept; });
}

void Project::setAnchor(int number, SongPosition anchor) {
    change(number, [&](Take& take) { take.anchor = anchor; });
}

void Project::setFile(int number, const std::string& path) {
    const ProjectView now = view();
    const Take* old = now.find(number);
    if (old == nullptr)
        return;
    TakeRecord record = *old;
    record.path = path;
    const Take loaded = load(record);
    change(number, [&](Take& take) {
        take.path = loaded.path;
        take.sound = loaded.sound;
        take.overview = loaded.overview;
        take.problem = loaded.problem;
    });
}

std::string Project::text() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    ProjectData data = data_;
    data.takes.assign(takes_.begin(), takes_.end());
    return toText(data);
}

void Project::restore(const std::string& text) {
    ProjectData data = fromText(text);
    std::vector<Take> takes;
    for (TakeRecord& record : data.takes)
        if (record.number > 0 && record.number < ClipSlots::kNumSlots)
            takes.push_back(load(std::move(record)));
    data.takes.clear();
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const Take& old : takes_)
        slots_.publish(old.number, nullptr);
    data_ = std::move(data);
    takes_ = std::move(takes);
    lastNumber_ = 0;
    for (const Take& take : takes_) {
        publish(take);
        lastNumber_ = std::max(lastNumber_, take.number);
    }
    publishNewest();
    ++version_;
}

void Project::setSampleRate(double rate) {
    if (sampleRate_.exchange(rate) == rate)
        return;
    for (const Take& take : view().loaded)
        setFile(take.number, take.path);
}

Take Project::load(TakeRecord record) const {
    Take take;
    static_cast<TakeRecord&>(take) = std::move(record);
    try {
        Sound sound = readWav(take.path);
        take.overview = std::make_shared<const Overview>(overviewOf(sound));
        const double rate = sampleRate_.load();
        const bool isLoop = take.request.number("loop", 0) != 0;
        if (sound.sampleRate != rate)
            sound = resampled(sound, rate, isLoop);
        take.sound = std::make_shared<const Sound>(std::move(sound));
    } catch (const std::exception& error) {
        take.problem = error.what();
    }
    return take;
}

void Project::publish(const Take& take) {
    std::unique_ptr<Clip> clip;
    if (take.sound != nullptr) {
        clip = std::make_unique<Clip>();
        clip->sound = take.sound;
        clip->anchor = take.anchor.at(take.sound->sampleRate);
        clip->repeatFrames = repeatFrames(take);
        clip->followsSong = take.source != TakeSource::captured;
    }
    slots_.publish(take.number, std::move(clip));
}

void Project::publishNewest() {
    slots_.setNewest(takes_.empty() ? 0 : takes_.back().number);
}

} // namespace audioldm
