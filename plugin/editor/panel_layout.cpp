// Where the widgets are, and what they show.
#include "editor/panel.hpp"

#include "editor/song_place.hpp"
#include "editor/views/captions.hpp"
#include "project/numbers.hpp"

#include <cmath>

namespace audioldm {

namespace {

constexpr float kHeader = 24, kField = 30, kStatus = 20, kGap = 8;
constexpr float kSideColumn = 96, kShareOfWave = 0.36f;

} // namespace

bool Panel::Seen::operator==(const Seen& other) const {
    return project == other.project && link == other.link && parameters == other.parameters &&
           sounding == other.sounding && playheadPixel == other.playheadPixel &&
           song == other.song && place == other.place;
}

void Panel::layOut(const Box& window) {
    window_ = window;
    menu_.close();
    Box rest = window.inset(theme::kMargin);
    layOutHeader(rest);
    layOutRequest(rest);
    layOutMixer(rest);
    wave_.box = rest.takeTop(std::max(60.0f, rest.h * kShareOfWave), kGap);
    layOutEdits(rest);
    layOutList(rest);
    seen_ = {};
}

void Panel::layOutHeader(Box& rest) {
    Box row = rest.takeTop(kHeader, kGap);
    settingsButton_.box = row.takeRight(100, 10);
    row.takeLeft(100);
    light_.box = row;
}

void Panel::layOutRequest(Box& rest) {
    Box row = rest.takeTop(kField, kGap);
    generate_.box = row.takeRight(104);
    presetsButton_.box = row.takeRight(72);
    historyButton_.box = row.takeRight(72);
    prompt_.box = row;
    row = rest.takeTop(theme::kRow, kGap);
    row.takeLeft(44, 4);
    length_.box = row.takeLeft(52, 2);
    lengthUnit_.box = row.takeLeft(52, 10);
    row.takeLeft(34, 4);
    seed_.box = row.takeLeft(82, 10);
    strength_.box = row.takeRight(210, 10);
    negativePrompt_.box = row;
    status_.box = rest.takeTop(kStatus, kGap);
}

void Panel::layOutMixer(Box& rest) {
    Box row = rest.takeBottom(theme::kRow, kGap);
    pitch_.box = row.takeRight(56);
    midi_.box = row.takeRight(120, 12);
    const float each = (row.w - 2 * 10) / 3;
    gain_.box = row.takeLeft(each, 10);
    dry_.box = row.takeLeft(each, 10);
    mix_.box = row;
}

void Panel::layOutEdits(Box& rest) {
    Box row = rest.takeTop(theme::kRow, kGap);
    const float unit = (row.w - 9 * 4) / 10.4f;
    audition_.box = row.takeLeft(unit * 1.1f, 4);
    play_.box = row.takeLeft(unit * 1.4f, 4);
    loop_.box = row.takeLeft(unit * 0.8f, 4);
    row.takeLeft(unit * 0.5f, 4);
    place_.box = row.takeLeft(unit * 0.9f, 4);
    here_.box = row.takeLeft(unit * 0.7f, 4);
    for (Button* button : {&transfer_, &inpaint_, &continue_, &upscale_})
        button->box = row.takeLeft(unit * 1.06f, 4);
    vary_.box = row;
}

void Panel::layOutList(Box& rest) {
    Box column = rest.takeRight(kSideColumn, kGap);
    takes_.box = rest;
    const float each = std::min(theme::kRow, (column.h - 6 * 4) / 7);
    for (Button* button : {&capture_, &open_, &compare_, &keep_, &copy_, &reveal_, &remove_})
        button->box = column.takeTop(each, 4);
}

bool Panel::refresh() {
    if (instance_.project.version() != project_.version || seen_ == Seen{}) {
        project_ = instance_.project.view();
        actions_.watch(project_);
    }
    const Take* chosen = project_.chosen(instance_.parameters.whole(kTake));
    const Seen now = look(chosen);
    if (now == seen_)
        return false;
    show(chosen);
    seen_ = now;
    return true;
}

Panel::Seen Panel::look(const Take* chosen) const {
    Seen now;
    now.project = project_.version;
    now.link = instance_.link.version();
    now.parameters = instance_.parameters.version();
    now.sounding = instance_.processor.status.soundingTake.load();
    now.playheadPixel = int(playheadOf(chosen) * wave_.box.w);
    now.song = songText();
    now.place = placeText(chosen);
    return now;
}

std::string Panel::songText() const {
    const Transport song = instance_.processor.status.transport();
    return toText(std::round(song.bpm * 100) / 100) + " bpm, " + toText(song.beatsPerBar) + '/' +
           toText(song.beatType);
}

double Panel::playheadOf(const Take* chosen) const {
    const AudioStatus& status = instance_.processor.status;
    if (chosen == nullptr || chosen->sound == nullptr ||
        status.soundingTake.load() != chosen->number)
        return -1;
    return double(status.soundingFrame.load()) / double(chosen->sound->frames());
}

std::string Panel::placeText(const Take* chosen) const {
    const SongPosition& position = chosen != nullptr ? chosen->anchor : project_.placement;
    const double rate = instance_.project.sampleRate();
    return barOfFrame(position.at(rate), instance_.processor.status.transport(), rate);
}

void Panel::show(const Take* chosen) {
    light_.link = status_.link = instance_.link.view();
    generate_.label = light_.link.jobs.empty() ? "Generate" : "Cancel";
    generate_.colour = light_.link.jobs.empty() ? theme::kAccent : theme::kRecord;
    showRequest();
    showChosen(chosen);
    showMixer();
    takes_.show(project_.loaded, chosen != nullptr ? chosen->number : 0,
                instance_.processor.status.soundingTake.load());
}

void Panel::showRequest() {
    const ParameterValues& values = instance_.parameters;
    const int bars = values.whole(kBars), seed = values.whole(kSeed);
    prompt_.show(project_.prompt);
    negativePrompt_.show(project_.negativePrompt);
    lengthUnit_.label = bars > 0 ? "bars" : "s";
    length_.show(bars > 0 ? toText(bars) : toText(std::round(values.get(kSeconds) * 100) / 100));
    seed_.show(seed < 0 ? "" : toText(seed));
    presetsButton_.enabled = !instance_.link.view().presets.empty();
    status_.hint = songText();
    if (!project_.preset.empty())
        status_.hint += "    preset: " + project_.preset;
}

void Panel::showChosen(const Take* chosen) {
    wave_.show(chosen);
    wave_.setPlayhead(playheadOf(chosen));
    place_.show(placeText(chosen));
    const bool there = chosen != nullptr && chosen->sound != nullptr;
    for (Button* button : {&audition_, &transfer_, &inpaint_, &continue_, &upscale_, &copy_,
                           &reveal_, &keep_, &remove_})
        button->enabled = there;
    remove_.enabled = chosen != nullptr && !chosen->kept;
    // Only a take has the recipe that a neighbour is made of.
    vary_.enabled = there && chosen->source == TakeSource::rendered;
    keep_.isOn = chosen != nullptr && chosen->kept;
}

void Panel::showMixer() {
    const ParameterValues& values = instance_.parameters;
    for (auto [slider, parameter] : {std::pair(&gain_, kGain), std::pair(&dry_, kDry),
                                     std::pair(&mix_, kMix), std::pair(&strength_, kStrength)})
        slider->value = values.get(parameter);
    for (auto [button, parameter] :
         {std::pair(&play_, kPlay), std::pair(&loop_, kLoop), std::pair(&capture_, kCapture),
          std::pair(&pitch_, kPitchFollow)})
        button->isOn = values.isOn(parameter);
    midi_.label = std::string("Notes: ") + kMidiModeNames[std::size_t(values.midiMode())];
}

void Panel::draw(Canvas& canvas) {
    const Rgb dim = theme::kTextDim;
    canvas.text({theme::kMargin, theme::kMargin, 100, kHeader}, "AudioLDM", theme::kText,
                theme::kTitleText);
    canvas.text({theme::kMargin, length_.box.y, 46, theme::kRow}, "Length", dim, theme::kSmallText);
    canvas.text({seed_.box.x - 38, seed_.box.y, 36, theme::kRow}, "Seed", dim, theme::kSmallText);
    const float placeLabel = place_.box.x - loop_.box.right() - 6;
    canvas.textCentred({loop_.box.right() + 2, place_.box.y, placeLabel, theme::kRow}, "at bar",
                       dim, theme::kSmallText);
    for (Widget* widget : widgets())
        if (widget->visible)
            widget->draw(canvas);
    if (settings_.visible)
        settings_.draw(canvas);
    if (menu_.visible)
        menu_.draw(canvas);
}

} // namespace audioldm
