// Where the companion is: this machine, or another one with a token.
#pragma once

#include "editor/widgets/button.hpp"
#include "editor/widgets/text_field.hpp"
#include "project/user_settings.hpp"

#include <functional>
#include <string>
#include <vector>

namespace audioldm {

class SettingsPanel : public Widget {
  public:
    /** `saved` is called when another place was written. */
    SettingsPanel(const Clipboard& clipboard, std::function<void()> saved);

    void open(const Box& room);
    void close() { visible = false; }
    void draw(Canvas& canvas) override;
    /** The widgets in it, in the order of the Tab key. */
    std::vector<Widget*> widgets();

  private:
    void save();

    std::function<void()> saved_;
    CompanionPlace place_;
    std::string port_, problem_;
    TextField hostField_, portField_, tokenField_;
    Button saveButton_, closeButton_;
};

} // namespace audioldm
