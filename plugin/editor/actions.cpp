#include "editor/actions.hpp"

#include "desktop/reveal.hpp"
#include "editor/song_place.hpp"

#include <algorithm>

namespace audioldm {

Actions::Actions(Instance& instance, HostParameters host, const Clipboard& clipboard)
    : instance_(instance), host_(std::move(host)), clipboard_(clipboard) {
    const ProjectView now = project();
    newestSeen_ = now.loaded.empty() ? 0 : now.loaded.back().number;
}

void Actions::move(std::uint32_t parameter, float value) {
    // Here at once: hosts hand it on with the next block, if they process at all.
    instance_.parameters.set(parameter, value);
    host_.set(parameter, value);
}

void Actions::set(std::uint32_t parameter, float value) {
    begin(parameter);
    move(parameter, value);
    end(parameter);
}

void Actions::toggle(std::uint32_t parameter) {
    set(parameter, isOn(parameter) ? 0 : 1);
}

void Actions::touch() {
    const float next = instance_.parameters.get(kChanges) + 1;
    set(kChanges, next > parameterInfo(kChanges).maximum ? 0 : next);
}

void Actions::setPrompt(const std::string& prompt) {
    instance_.project.setPrompt(prompt);
    touch();
}

void Actions::setNegativePrompt(const std::string& prompt) {
    instance_.project.setNegativePrompt(prompt);
    touch();
}

void Actions::generate() {
    waitsForTake_ = true;
    instance_.link.generate();
}

void Actions::edit(const std::string& kind, const Selection& selection) {
    waitsForTake_ = true;
    instance_.link.edit({kind, chosenNumber(), selection});
}

void Actions::usePreset(const std::string& name) {
    instance_.link.usePreset(name);
    touch();
}

int Actions::chosenNumber() const {
    const ProjectView now = project();
    const Take* take = now.chosen(instance_.parameters.whole(kTake));
    return take != nullptr ? take->number : 0;
}

void Actions::choose(int number) {
    const int before = chosenNumber();
    if (number == before)
        return;
    other_ = before;
    set(kTake, float(number));
}

void Actions::toggleComparison() {
    if (project().find(other_) != nullptr)
        choose(other_);
}

void Actions::audition(int number) {
    const bool sounds = instance_.processor.status.soundingTake.load() == number &&
                        !instance_.processor.status.playing.load();
    instance_.processor.auditionWish.store(sounds ? 0 : number);
}

void Actions::auditionChosen() {
    audition(chosenNumber());
}

void Actions::keep() {
    const int number = chosenNumber();
    const ProjectView now = project();
    if (const Take* take = now.find(number)) {
        instance_.project.setKept(number, !take->kept);
        touch();
    }
}

/** Kept takes stay until they are kept no longer. */
void Actions::remove(int number) {
    const ProjectView now = project();
    const Take* take = now.find(number);
    if (take == nullptr || take->kept)
        return;
    const bool wasChosen = number == chosenNumber();
    instance_.project.remove(number);
    if (wasChosen)
        set(kTake, 0);
}

void Actions::removeChosen() {
    remove(chosenNumber());
}

void Actions::addFile(const std::string& path) {
    waitsForTake_ = true;
    instance_.link.addFile(path);
}

void Actions::copyPath() {
    const ProjectView now = project();
    if (const Take* take = now.find(chosenNumber()))
        clipboard_.set(take->path);
}

void Actions::reveal() {
    const ProjectView now = project();
    if (const Take* take = now.find(chosenNumber()))
        revealFile(take->path);
}

void Actions::place(std::int64_t frame) {
    const SongPosition position{frame, instance_.project.sampleRate()};
    instance_.project.setPlacement(position);
    instance_.project.setAnchor(chosenNumber(), position);
    touch();
}

void Actions::placeAtBar(const std::string& text) {
    const std::int64_t frame =
        frameOfBar(text, instance_.processor.status.transport(), instance_.project.sampleRate());
    if (frame >= 0)
        place(frame);
}

/** Stopped, some hosts tell a position that is some blocks ahead; the beat is right. */
void Actions::placeHere() {
    const Transport song = instance_.processor.status.transport();
    const bool exact = song.hasBars || song.playing;
    place(exact ? nearestBeat(song, instance_.project.sampleRate())
                : instance_.processor.status.rolledFrom.load());
}

void Actions::watch(const ProjectView& now) {
    const int newest = now.loaded.empty() ? 0 : now.loaded.back().number;
    const bool arrived = newest > newestSeen_;
    newestSeen_ = newest;
    if (!arrived)
        return;
    touch();
    // Captures come by themselves; they are shown as what was asked for is.
    if (waitsForTake_ || now.loaded.back().source == TakeSource::captured)
        set(kTake, 0);
    waitsForTake_ = false;
}

} // namespace audioldm
