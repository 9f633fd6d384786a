// The menus of the panel, and what is typed into its small fields.
#include "editor/panel.hpp"

#include "project/numbers.hpp"
#include "project/user_settings.hpp"

namespace audioldm {

void Panel::toggleJob() {
    if (instance_.link.view().jobs.empty())
        actions_.generate();
    else
        instance_.link.cancel();
}

void Panel::openHistory() {
    const std::vector<std::string> prompts = promptHistory();
    std::vector<MenuItem> items;
    for (const std::string& prompt : prompts)
        items.push_back({prompt, ""});
    menu_.open(historyButton_.box, window_.inset(8), items,
               [this, prompts](std::size_t k) { actions_.setPrompt(prompts[k]); });
}

void Panel::openPresets() {
    std::vector<MenuItem> items;
    std::vector<std::string> names;
    for (const Preset& preset : instance_.link.view().presets) {
        if (preset.kind != "text") // the others are edits of a clip, which have their buttons
            continue;
        items.push_back({preset.name, preset.description});
        names.push_back(preset.name);
    }
    const Box wide{presetsButton_.box.right() - 480, presetsButton_.box.y, 480,
                   presetsButton_.box.h};
    menu_.open(wide, window_.inset(8), items,
               [this, names](std::size_t k) { actions_.usePreset(names[k]); });
}

void Panel::openMidiModes() {
    const std::vector<MenuItem> items{{"off", "notes are ignored"},
                                      {"one-shot", "a note plays the take to its end"},
                                      {"gate", "until the note ends"},
                                      {"loop", "again and again until the note ends"}};
    menu_.open(midi_.box, window_.inset(8), items,
               [this](std::size_t k) { actions_.set(kMidiMode, float(k)); });
}

void Panel::setLength(const std::string& text) {
    const bool inBars = instance_.parameters.whole(kBars) > 0;
    const float value = parsed<float>(text, 0);
    if (value > 0)
        actions_.set(inBars ? kBars : kSeconds, value);
}

void Panel::setSeed(const std::string& text) {
    actions_.set(kSeed, parsed<float>(text, -1));
}

void Panel::switchLengthUnit() {
    const bool inBars = instance_.parameters.whole(kBars) > 0;
    actions_.set(kBars, inBars ? 0 : parameterInfo(kBars).initial);
}

} // namespace audioldm
