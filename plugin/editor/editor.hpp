// The window: DPF's events on one side, widgets and actions on the other.
#pragma once

#include "DistrhoUI.hpp"

#include "desktop/file_drag.hpp"
#include "desktop/file_drop.hpp"
#include "editor/panel.hpp"

#include <memory>
#include <string>

START_NAMESPACE_DISTRHO

class AudioLdmEditor : public UI {
  public:
    AudioLdmEditor();

  protected:
    // uiIdle() looks at the instance itself. Hosts tell of values that did not change, too, and
    // drawing for each of those would never end.
    void parameterChanged(uint32_t, float) override {}
    void stateChanged(const char*, const char*) override {}
    void uiIdle() override;
    void uiFocus(bool focus, DGL_NAMESPACE::CrossingMode mode) override;
    void uiFileBrowserSelected(const char* path) override;
    void onNanoDisplay() override;
    void onResize(const ResizeEvent& event) override;
    bool onMouse(const MouseEvent& event) override;
    bool onMotion(const MotionEvent& event) override;
    bool onScroll(const ScrollEvent& event) override;
    bool onKeyboard(const KeyboardEvent& event) override;
    bool onCharacterInput(const CharacterInputEvent& event) override;

  private:
    audioldm::HostParameters hostParameters();
    audioldm::Clipboard makeClipboard();
    audioldm::Spot toSpot(const DGL_NAMESPACE::Point<double>& point) const;
    int countClicks(const MouseEvent& event);
    void lookForDrops();
    void openFile();
    void dragOut(const std::string& path);
    void layOut();

    const float scale_;
    audioldm::Clipboard clipboard_;
    std::unique_ptr<audioldm::Panel> panel_;
    std::unique_ptr<audioldm::FileDrag> drag_;
    std::unique_ptr<audioldm::FileDrop> drop_;
    /** A file that was dragged out and dropped on the editor itself is no new one. */
    std::string draggedPath_;
    uint lastPressTime_ = 0;
    audioldm::Spot lastPress_;
    int clicks_ = 0;

    DISTRHO_DECLARE_NON_COPYABLE_WITH_LEAK_DETECTOR(AudioLdmEditor)
};

END_NAMESPACE_DISTRHO
