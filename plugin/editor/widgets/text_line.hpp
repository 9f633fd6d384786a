// One line of UTF-8 text that is edited: caret, selection, words, undo. No drawing.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace audioldm {

class TextLine {
  public:
    const std::string& text() const { return now_.text; }
    /** Bytes before the caret, and the two ends of the selection. */
    std::size_t caret() const { return now_.caret; }
    std::size_t selectionStart() const;
    std::size_t selectionEnd() const;
    std::string selected() const;

    /** Replaces everything; there is nothing to undo then. */
    void setText(const std::string& text);
    /** Replaces the selection; control characters become spaces. */
    void insert(const std::string& text);
    /** Removes the selection, else what stands before or after the caret. */
    void removeBefore(bool wholeWord);
    void removeAfter(bool wholeWord);
    void undo();

    /** Moves the caret; `select` keeps the other end of the selection. */
    void moveLeft(bool select, bool wholeWord);
    void moveRight(bool select, bool wholeWord);
    void moveTo(std::size_t byte, bool select);
    void selectAll();
    void selectWordAt(std::size_t byte);

    /** The last boundary between two characters at or before `byte`. */
    static std::size_t boundary(const std::string& text, std::size_t byte);
    /** Characters in the first `bytes` bytes. */
    static std::size_t characters(const std::string& text, std::size_t bytes);

  private:
    struct State {
        std::string text;
        std::size_t caret = 0, anchor = 0;
    };

    std::size_t before(std::size_t byte, bool wholeWord) const;
    std::size_t after(std::size_t byte, bool wholeWord) const;
    void remember();
    void erase(std::size_t from, std::size_t to);

    State now_;
    std::vector<State> past_;
};

} // namespace audioldm
