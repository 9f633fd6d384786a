// All widgets of the editor: where they are, what they do, and which one has the keyboard.
#pragma once

#include "editor/actions.hpp"
#include "editor/views/settings_panel.hpp"
#include "editor/views/status_line.hpp"
#include "editor/views/take_list.hpp"
#include "editor/views/waveform_view.hpp"
#include "editor/widgets/button.hpp"
#include "editor/widgets/menu.hpp"
#include "editor/widgets/slider.hpp"
#include "editor/widgets/text_field.hpp"
#include "instance.hpp"

#include <functional>
#include <string>
#include <vector>

namespace audioldm {

/** What the panel needs of the window around it. */
struct PanelHost {
    HostParameters parameters;
    const Clipboard& clipboard;
    std::function<void()> openFile;
    std::function<void(const std::string&)> dragOut;
    std::function<void()> takeKeyboard, giveKeyboardBack;
};

class Panel {
  public:
    Panel(Instance& instance, const PanelHost& host);

    void layOut(const Box& window);
    void draw(Canvas& canvas);
    /** Takes up what has changed in the instance; true where it must be drawn. */
    bool refresh();

    void press(const MousePress& press);
    void release(Spot at);
    /** The pointer moved; true where it must be drawn. */
    bool point(Spot at);
    bool scroll(Spot at, float by);
    bool key(const KeyPress& press);
    bool character(const std::string& text);
    bool hasFocus() const { return focus_ != nullptr; }
    void loseFocus() { setFocus(nullptr); }
    void addFile(const std::string& path) { actions_.addFile(path); }

  private:
    /** Versions and values that decide whether something must be drawn. */
    struct Seen {
        unsigned project = ~0u, link = ~0u, parameters = ~0u;
        int sounding = 0;
        int playheadPixel = -1;
        std::string song, place;

        bool operator==(const Seen& other) const;
    };

    std::vector<Widget*> widgets();
    /** Those that events are for: the settings' while they are open. */
    std::vector<Widget*> activeWidgets();
    void layOutHeader(Box& rest);
    void layOutRequest(Box& rest);
    void layOutEdits(Box& rest);
    void layOutList(Box& rest);
    void layOutMixer(Box& rest);

    Seen look(const Take* chosen) const;
    void show(const Take* chosen);
    void showRequest();
    void showChosen(const Take* chosen);
    void showMixer();
    std::string songText() const;
    std::string placeText(const Take* chosen) const;
    double playheadOf(const Take* chosen) const;

    void setFocus(Widget* widget);
    void moveFocus(bool backwards);
    Widget* widgetAt(Spot at);

    void openHistory();
    void openPresets();
    void openMidiModes();
    void setLength(const std::string& text);
    void setSeed(const std::string& text);
    void switchLengthUnit();
    Button editButton(const char* label, const char* kind);
    Button toggleButton(const char* label, Parameter parameter);
    Slider parameterSlider(const char* label, Parameter parameter,
                           std::function<std::string(float)> shown);
    void toggleJob();

    Instance& instance_;
    PanelHost host_;
    Actions actions_;
    Box window_;
    /** Of the last refresh(). */
    ProjectView project_;
    Seen seen_;
    Widget* focus_ = nullptr;
    Widget* pressed_ = nullptr;

    ConnectionLight light_;
    Button settingsButton_, historyButton_, presetsButton_, generate_, lengthUnit_;
    TextField prompt_, negativePrompt_, length_, seed_;
    Slider strength_;
    StatusLine status_;
    WaveformView wave_;
    Button audition_, play_, loop_, here_;
    TextField place_;
    Button transfer_, inpaint_, continue_, upscale_, vary_;
    TakeList takes_;
    Button capture_, open_, compare_, keep_, copy_, reveal_, remove_;
    Slider gain_, dry_, mix_;
    Button midi_, pitch_;
    Menu menu_;
    SettingsPanel settings_;
};

} // namespace audioldm
