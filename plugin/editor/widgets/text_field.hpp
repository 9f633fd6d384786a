// A line of text to be edited.
#pragma once

#include "editor/widgets/text_line.hpp"
#include "editor/widgets/widget.hpp"

#include <functional>
#include <string>

namespace audioldm {

/** The system's clipboard, which belongs to the window. */
struct Clipboard {
    std::function<std::string()> get;
    std::function<void(const std::string&)> set;
};

class TextField : public Widget {
  public:
    /** `changed` is called with each edit, `entered` with Return. */
    TextField(std::string placeholder, const Clipboard& clipboard,
              std::function<void(const std::string&)> changed, std::function<void()> entered);

    void draw(Canvas& canvas) override;
    bool press(const MousePress& press) override;
    void drag(Spot at) override;
    bool key(const KeyPress& press) override;
    bool character(const std::string& text) override;
    void focusChanged(bool has) override;

    const std::string& text() const { return line_.text(); }
    /** Shows another text, unless it is being edited. */
    void show(const std::string& text);
    /** Shows dots. */
    bool isSecret = false;
    /** Everything is selected when the focus comes by the keyboard. */
    void selectAll() { line_.selectAll(); }

  private:
    bool edit(const KeyPress& press);
    bool move(const KeyPress& press);
    bool shortcut(const KeyPress& press);
    std::string shown() const;
    /** Where a boundary of the text is, from the beginning of the text. */
    float xOf(std::size_t byte) const;
    std::size_t byteAt(float x) const;
    void keepCaretInSight();

    const std::string placeholder_;
    const Clipboard& clipboard_;
    const std::function<void(const std::string&)> changed_;
    const std::function<void()> entered_;
    TextLine line_;
    /** How far the text is moved to the left. */
    float scrolled_ = 0;
    /** Of each character and of the end, from the last drawing. */
    std::vector<float> positions_{0};
};

} // namespace audioldm
