#include "editor/editor.hpp"

#include "desktop/focus.hpp"
#include "plugin.hpp"

#include <cmath>
#include <cstring>

START_NAMESPACE_DISTRHO

using namespace audioldm;

namespace {

constexpr float kMinWidth = 620, kMinHeight = 430;
constexpr uint kDoubleClickMs = 400;
constexpr float kDoubleClickDistance = 4;

#ifdef DISTRHO_OS_MAC
constexpr uint kShortcutModifier = DGL_NAMESPACE::kModifierSuper;
#else
constexpr uint kShortcutModifier = DGL_NAMESPACE::kModifierControl;
#endif

} // namespace

AudioLdmEditor::AudioLdmEditor() : scale_(float(getScaleFactor())), clipboard_(makeClipboard()) {
    loadSharedResources();
    setGeometryConstraints(uint(kMinWidth * scale_), uint(kMinHeight * scale_), false, false);
    setSize(uint(DISTRHO_UI_DEFAULT_WIDTH * scale_), uint(DISTRHO_UI_DEFAULT_HEIGHT * scale_));
    auto* plugin = static_cast<AudioLdmPlugin*>(getPluginInstancePointer());
    if (plugin == nullptr) // a host that only asks how large the editor is
        return;
    const std::uintptr_t window = getWindow().getNativeWindowHandle();
    drag_ = std::make_unique<FileDrag>(window);
    drop_ = std::make_unique<FileDrop>(window);
    const PanelHost host{hostParameters(),
                         clipboard_,
                         [this] { openFile(); },
                         [this](const std::string& path) { dragOut(path); },
                         [this] { getWindow().focus(); },
                         [this] { giveKeyboardBack(getWindow().getNativeWindowHandle()); }};
    panel_ = std::make_unique<Panel>(plugin->instance(), host);
    layOut();
}

HostParameters AudioLdmEditor::hostParameters() {
    return {[this](uint32_t index, bool begins) { editParameter(index, begins); },
            [this](uint32_t index, float value) { setParameterValue(index, value); }};
}

Clipboard AudioLdmEditor::makeClipboard() {
    return {[this] {
                size_t size = 0;
                const auto* data = static_cast<const char*>(getWindow().getClipboard(size));
                return data != nullptr ? std::string(data, strnlen(data, size)) : std::string();
            },
            [this](const std::string& text) {
                if (!text.empty())
                    getWindow().setClipboard(nullptr, text.c_str(), text.size());
            }};
}

void AudioLdmEditor::layOut() {
    if (panel_)
        panel_->layOut({0, 0, float(getWidth()) / scale_, float(getHeight()) / scale_});
}

void AudioLdmEditor::onResize(const ResizeEvent& event) {
    UI::onResize(event);
    layOut();
}

void AudioLdmEditor::onNanoDisplay() {
    Canvas canvas(*this);
    canvas.begin(scale_);
    const Box all{0, 0, float(getWidth()) / scale_, float(getHeight()) / scale_};
    canvas.fill(all, theme::kBackground);
    if (panel_)
        panel_->draw(canvas);
    else
        canvas.textCentred(all, "This host gives the editor no access to the plug-in.",
                           theme::kWarning);
}

/** Drawn only where something has changed. */
void AudioLdmEditor::uiIdle() {
    if (!panel_)
        return;
    lookForDrops();
    if (panel_->refresh())
        repaint();
}

void AudioLdmEditor::lookForDrops() {
    for (const std::string& path : drop_->take())
        if (path != draggedPath_)
            panel_->addFile(path);
}

void AudioLdmEditor::openFile() {
    FileBrowserOptions options;
    options.title = "A sound file (WAV)";
    openFileBrowser(options);
}

void AudioLdmEditor::uiFileBrowserSelected(const char* path) {
    if (path != nullptr && panel_)
        panel_->addFile(path);
}

void AudioLdmEditor::dragOut(const std::string& path) {
    draggedPath_ = path;
    drag_->begin(path);
}

void AudioLdmEditor::uiFocus(bool focus, DGL_NAMESPACE::CrossingMode) {
    if (!focus && panel_)
        panel_->loseFocus();
    repaint();
}

Spot AudioLdmEditor::toSpot(const DGL_NAMESPACE::Point<double>& point) const {
    return {float(point.getX()) / scale_, float(point.getY()) / scale_};
}

int AudioLdmEditor::countClicks(const MouseEvent& event) {
    const Spot at = toSpot(event.pos);
    const bool near = std::hypot(at.x - lastPress_.x, at.y - lastPress_.y) < kDoubleClickDistance;
    const bool soon = event.time - lastPressTime_ < kDoubleClickMs;
    clicks_ = near && soon ? clicks_ + 1 : 1;
    lastPressTime_ = event.time;
    lastPress_ = at;
    return clicks_;
}

bool AudioLdmEditor::onMouse(const MouseEvent& event) {
    if (event.button != 1 || !panel_)
        return false;
    const Spot at = toSpot(event.pos);
    if (event.press)
        panel_->press({at, countClicks(event), (event.mod & DGL_NAMESPACE::kModifierShift) != 0});
    else
        panel_->release(at);
    repaint();
    return true;
}

bool AudioLdmEditor::onMotion(const MotionEvent& event) {
    if (!panel_ || !panel_->point(toSpot(event.pos)))
        return false;
    repaint();
    return true;
}

bool AudioLdmEditor::onScroll(const ScrollEvent& event) {
    if (!panel_ || !panel_->scroll(toSpot(event.pos), float(event.delta.getY())))
        return false;
    repaint();
    return true;
}

bool AudioLdmEditor::onKeyboard(const KeyboardEvent& event) {
    if (!panel_)
        return false;
    const KeyPress press{event.key, (event.mod & DGL_NAMESPACE::kModifierShift) != 0,
                         (event.mod & kShortcutModifier) != 0,
                         (event.mod & DGL_NAMESPACE::kModifierAlt) != 0};
    // Who took the press takes the release as well.
    const bool taken = event.press ? panel_->key(press) : panel_->hasFocus();
    if (taken)
        repaint();
    return taken;
}

bool AudioLdmEditor::onCharacterInput(const CharacterInputEvent& event) {
    const uint shortcuts = DGL_NAMESPACE::kModifierControl | DGL_NAMESPACE::kModifierAlt |
                           DGL_NAMESPACE::kModifierSuper;
    const bool printable = event.character >= 32 && event.character != 127;
    if (!panel_ || !printable || (event.mod & shortcuts) != 0)
        return false;
    if (!panel_->character(event.string))
        return false;
    repaint();
    return true;
}

UI* createUI() {
    return new AudioLdmEditor();
}

END_NAMESPACE_DISTRHO
