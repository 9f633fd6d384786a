#include "editor/views/settings_panel.hpp"

#include "project/numbers.hpp"

#include <array>

namespace audioldm {

namespace {

constexpr float kWidth = 560, kHeight = 300, kLabelWidth = 110, kLineHeight = 17;
constexpr std::array<const char*, 4> kHelp{
    "The companion renders the sounds. On this computer it is found by itself:",
    "    audioldm-daw                          start it in a terminal",
    "    audioldm-daw service install     start it whenever you log in",
    "For another computer give its name and a token (audioldm-server token add NAME)."};

} // namespace

SettingsPanel::SettingsPanel(const Clipboard& clipboard, std::function<void()> saved)
    : saved_(std::move(saved)), hostField_(
                                    "this computer", clipboard,
                                    [this](auto& text) { place_.host = text; }, [this] { save(); }),
      portField_(
          "9537", clipboard, [this](auto& text) { port_ = text; }, [this] { save(); }),
      tokenField_(
          "none", clipboard, [this](auto& text) { place_.token = text; }, [this] { save(); }),
      saveButton_("Save", [this] { save(); }), closeButton_("Close", [this] { close(); }) {
    visible = false;
    tokenField_.isSecret = true;
    saveButton_.colour = theme::kAccent;
}

void SettingsPanel::open(const Box& room) {
    place_ = loadCompanionPlace();
    port_ = std::to_string(place_.port);
    problem_.clear();
    hostField_.show(place_.host);
    portField_.show(port_);
    tokenField_.show(place_.token);
    visible = true;
    const float width = std::min(kWidth, room.w), height = std::min(kHeight, room.h);
    box = {room.x + (room.w - width) / 2, room.y + (room.h - height) / 2, width, height};
    Box rest = box.inset(16);
    rest.takeTop(28 + float(kHelp.size()) * kLineHeight);
    for (TextField* field : {&hostField_, &portField_, &tokenField_}) {
        field->box = rest.takeTop(28, 8);
        field->box.takeLeft(kLabelWidth, 0);
    }
    Box buttons = rest.takeBottom(28);
    closeButton_.box = buttons.takeRight(90);
    saveButton_.box = buttons.takeRight(90);
}

std::vector<Widget*> SettingsPanel::widgets() {
    return {&hostField_, &portField_, &tokenField_, &saveButton_, &closeButton_};
}

void SettingsPanel::draw(Canvas& canvas) {
    canvas.fill(box, theme::kBackground, theme::kRadius);
    canvas.outline(box, theme::kFocus, theme::kRadius);
    Box rest = box.inset(16);
    canvas.text(rest.takeTop(22), "Companion", theme::kText, theme::kTitleText);
    for (const char* line : kHelp)
        canvas.text(rest.takeTop(kLineHeight, 0), line, theme::kTextDim, theme::kSmallText);
    const std::array<const char*, 3> labels{"Host", "HTTP port", "Token"};
    const std::array<TextField*, 3> fields{&hostField_, &portField_, &tokenField_};
    for (std::size_t k = 0; k < labels.size(); ++k) {
        const Box& field = fields[k]->box;
        canvas.text({field.x - kLabelWidth, field.y, kLabelWidth, field.h}, labels[k],
                    theme::kTextDim);
    }
    const Box line{box.x + 16, saveButton_.box.y, saveButton_.box.x - box.x - 24, 28};
    canvas.text(line, problem_, theme::kWarning, theme::kSmallText);
    for (Widget* widget : widgets())
        widget->draw(canvas);
}

void SettingsPanel::save() {
    const unsigned port = parsed<unsigned>(port_, 0);
    if (port < 1 || port > 65535) {
        problem_ = "the port must be a number from 1 to 65535";
        return;
    }
    place_.port = std::uint16_t(port);
    if (!saveCompanionPlace(place_)) {
        problem_ = "the settings could not be written";
        return;
    }
    saved_();
    close();
}

} // namespace audioldm
