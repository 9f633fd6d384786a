#include "editor/panel.hpp"

#include "editor/views/captions.hpp"

#include "Base.hpp"

#include <algorithm>

namespace audioldm {

namespace {

using namespace DGL_NAMESPACE;

std::string gainText(float db) {
    return decibels(db, parameterInfo(kGain).minimum);
}

std::string shareText(float share) {
    return percent(share);
}

} // namespace

Panel::Panel(Instance& instance, const PanelHost& host)
    : instance_(instance), host_(host), actions_(instance, host.parameters, host.clipboard),
      settingsButton_("Companion…", [this] { settings_.open(window_.inset(20)); }),
      historyButton_("History", [this] { openHistory(); }),
      presetsButton_("Presets", [this] { openPresets(); }),
      generate_("Generate", [this] { toggleJob(); }),
      lengthUnit_("bars", [this] { switchLengthUnit(); }),
      prompt_(
          "what it should sound like", host_.clipboard,
          [this](auto& text) { actions_.setPrompt(text); }, [this] { actions_.generate(); }),
      negativePrompt_(
          "without…", host_.clipboard, [this](auto& text) { actions_.setNegativePrompt(text); },
          [this] { actions_.generate(); }),
      length_(
          "", host_.clipboard, [this](auto& text) { setLength(text); },
          [this] { actions_.generate(); }),
      seed_(
          "random", host_.clipboard, [this](auto& text) { setSeed(text); },
          [this] { actions_.generate(); }),
      strength_(parameterSlider("Strength", kStrength, shareText)),
      wave_([this] { actions_.auditionChosen(); }),
      audition_("Audition", [this] { actions_.auditionChosen(); }),
      play_(toggleButton("Play in song", kPlay)), loop_(toggleButton("Loop", kLoop)),
      here_("Here", [this] { actions_.placeHere(); }), place_(
                                                           "bar", host_.clipboard, [](auto&) {},
                                                           [this] {
                                                               actions_.placeAtBar(place_.text());
                                                               setFocus(nullptr);
                                                           }),
      transfer_(editButton("Transfer", "transfer")), inpaint_(editButton("Inpaint", "inpaint")),
      continue_(editButton("Continue", "continue")), upscale_(editButton("Upscale", "upscale")),
      vary_(editButton("Vary", "vary")),
      takes_({[this](int number) { actions_.choose(number); },
              [this](int number) {
                  actions_.choose(number);
                  actions_.audition(number);
              },
              [this](int number) { actions_.remove(number); },
              [this](const std::string& path) { host_.dragOut(path); }}),
      capture_(toggleButton("Capture", kCapture)), open_("Open…", [this] { host_.openFile(); }),
      compare_("A / B", [this] { actions_.toggleComparison(); }),
      keep_("Keep", [this] { actions_.keep(); }),
      copy_("Copy path", [this] { actions_.copyPath(); }),
      reveal_("Reveal", [this] { actions_.reveal(); }),
      remove_("Remove", [this] { actions_.removeChosen(); }),
      gain_(parameterSlider("Gain", kGain, gainText)),
      dry_(parameterSlider("Input", kDry, shareText)),
      mix_(parameterSlider("Mix", kMix, shareText)), midi_("MIDI", [this] { openMidiModes(); }),
      pitch_(toggleButton("Pitch", kPitchFollow)),
      settings_(host_.clipboard, [this] { instance_.link.reconnect(); }) {
    generate_.colour = theme::kAccent;
    capture_.colourOn = theme::kRecord;
}

Button Panel::editButton(const char* label, const char* kind) {
    return Button(label, [this, kind] { actions_.edit(kind, wave_.selection()); });
}

Button Panel::toggleButton(const char* label, Parameter parameter) {
    return Button(label, [this, parameter] { actions_.toggle(parameter); });
}

Slider Panel::parameterSlider(const char* label, Parameter parameter,
                              std::function<std::string(float)> shown) {
    const ParameterInfo& info = parameterInfo(parameter);
    return Slider(label, {info.minimum, info.maximum, info.initial}, std::move(shown),
                  {[this, parameter] { actions_.begin(parameter); },
                   [this, parameter](float value) { actions_.move(parameter, value); },
                   [this, parameter] { actions_.end(parameter); }});
}

std::vector<Widget*> Panel::widgets() {
    return {&prompt_,        &historyButton_, &presetsButton_, &generate_, &negativePrompt_,
            &length_,        &lengthUnit_,    &seed_,          &strength_, &status_,
            &wave_,          &audition_,      &play_,          &loop_,     &place_,
            &here_,          &transfer_,      &inpaint_,       &continue_, &upscale_,
            &vary_,          &takes_,         &capture_,       &open_,     &compare_,
            &keep_,          &copy_,          &reveal_,        &remove_,   &gain_,
            &dry_,           &mix_,           &midi_,          &pitch_,    &light_,
            &settingsButton_};
}

std::vector<Widget*> Panel::activeWidgets() {
    return settings_.visible ? settings_.widgets() : widgets();
}

Widget* Panel::widgetAt(Spot at) {
    for (Widget* widget : activeWidgets())
        if (widget->visible && widget->box.has(at))
            return widget;
    return nullptr;
}

void Panel::press(const MousePress& press) {
    if (menu_.visible) {
        menu_.press(press);
        return;
    }
    Widget* widget = widgetAt(press.at);
    // Only a field takes the keyboard away from the host.
    auto* field = dynamic_cast<TextField*>(widget);
    if (field != nullptr)
        host_.takeKeyboard();
    setFocus(field);
    pressed_ = widget;
    if (widget != nullptr)
        widget->press(press);
}

void Panel::release(Spot at) {
    if (pressed_ != nullptr)
        pressed_->release(at);
    pressed_ = nullptr;
}

bool Panel::point(Spot at) {
    if (menu_.visible)
        menu_.point(at);
    else if (pressed_ != nullptr)
        pressed_->drag(at);
    return menu_.visible || pressed_ != nullptr;
}

bool Panel::scroll(Spot at, float by) {
    if (menu_.visible)
        return menu_.scroll(at, by);
    Widget* widget = widgetAt(at);
    return widget != nullptr && widget->scroll(at, by);
}

bool Panel::key(const KeyPress& press) {
    if (menu_.visible)
        return menu_.key(press);
    if (press.code == kKeyEscape) {
        const bool had = focus_ != nullptr || settings_.visible;
        settings_.close();
        setFocus(nullptr);
        host_.giveKeyboardBack();
        return had;
    }
    if (press.code == '\t') {
        moveFocus(press.shift);
        return true;
    }
    return focus_ != nullptr && focus_->key(press);
}

bool Panel::character(const std::string& text) {
    return focus_ != nullptr && focus_->character(text);
}

void Panel::setFocus(Widget* widget) {
    if (widget == focus_)
        return;
    if (focus_ != nullptr)
        focus_->focusChanged(false);
    focus_ = widget;
    if (focus_ != nullptr)
        focus_->focusChanged(true);
}

void Panel::moveFocus(bool backwards) {
    std::vector<Widget*> order = activeWidgets();
    const auto passive = [](const Widget* widget) { return !widget->takesFocus(); };
    order.erase(std::remove_if(order.begin(), order.end(), passive), order.end());
    const auto now = std::find(order.begin(), order.end(), focus_);
    std::size_t next = backwards ? order.size() - 1 : 0;
    if (now != order.end()) {
        const std::size_t index = std::size_t(now - order.begin());
        next = (index + (backwards ? order.size() - 1 : 1)) % order.size();
    }
    setFocus(order[next]);
    if (auto* field = dynamic_cast<TextField*>(focus_))
        field->selectAll();
}

} // namespace audioldm
