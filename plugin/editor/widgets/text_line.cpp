#include "editor/widgets/text_line.hpp"

#include <algorithm>

namespace audioldm {

namespace {

constexpr std::size_t kMaxUndos = 100;

bool continues(char c) {
    return (c & 0xC0) == 0x80;
}

} // namespace

std::size_t TextLine::boundary(const std::string& text, std::size_t byte) {
    byte = std::min(byte, text.size());
    while (byte > 0 && byte < text.size() && continues(text[byte]))
        --byte;
    return byte;
}

std::size_t TextLine::characters(const std::string& text, std::size_t bytes) {
    const auto end = text.begin() + std::ptrdiff_t(std::min(bytes, text.size()));
    return std::size_t(std::count_if(text.begin(), end, [](char c) { return !continues(c); }));
}

std::size_t TextLine::selectionStart() const {
    return std::min(now_.caret, now_.anchor);
}

std::size_t TextLine::selectionEnd() const {
    return std::max(now_.caret, now_.anchor);
}

std::string TextLine::selected() const {
    return now_.text.substr(selectionStart(), selectionEnd() - selectionStart());
}

void TextLine::setText(const std::string& text) {
    now_ = {text, text.size(), text.size()};
    past_.clear();
}

void TextLine::insert(const std::string& text) {
    remember();
    std::string clean = text;
    std::replace_if(
        clean.begin(), clean.end(), [](char c) { return (unsigned char)c < 32 || c == 127; }, ' ');
    erase(selectionStart(), selectionEnd());
    now_.text.insert(now_.caret, clean);
    now_.caret = now_.anchor = now_.caret + clean.size();
}

void TextLine::removeBefore(bool wholeWord) {
    remember();
    if (now_.caret == now_.anchor)
        now_.anchor = before(now_.caret, wholeWord);
    erase(selectionStart(), selectionEnd());
}

void TextLine::removeAfter(bool wholeWord) {
    remember();
    if (now_.caret == now_.anchor)
        now_.anchor = after(now_.caret, wholeWord);
    erase(selectionStart(), selectionEnd());
}

void TextLine::undo() {
    if (past_.empty())
        return;
    now_ = past_.back();
    past_.pop_back();
}

void TextLine::moveLeft(bool select, bool wholeWord) {
    const bool collapses = !select && now_.caret != now_.anchor;
    moveTo(collapses ? selectionStart() : before(now_.caret, wholeWord), select);
}

void TextLine::moveRight(bool select, bool wholeWord) {
    const bool collapses = !select && now_.caret != now_.anchor;
    moveTo(collapses ? selectionEnd() : after(now_.caret, wholeWord), select);
}

void TextLine::moveTo(std::size_t byte, bool select) {
    now_.caret = boundary(now_.text, byte);
    if (!select)
        now_.anchor = now_.caret;
}

void TextLine::selectAll() {
    now_.anchor = 0;
    now_.caret = now_.text.size();
}

void TextLine::selectWordAt(std::size_t byte) {
    const auto space = [](char c) { return c == ' '; };
    const auto at = now_.text.begin() + std::ptrdiff_t(std::min(byte, now_.text.size()));
    const auto begin = std::find_if(std::make_reverse_iterator(at), now_.text.rend(), space).base();
    const auto end = std::find_if(at, now_.text.end(), space);
    now_.anchor = std::size_t(begin - now_.text.begin());
    now_.caret = std::size_t(end - now_.text.begin());
}

std::size_t TextLine::before(std::size_t byte, bool wholeWord) const {
    const auto isSpace = [this](std::size_t at) { return now_.text[at] == ' '; };
    if (!wholeWord)
        return byte == 0 ? 0 : boundary(now_.text, byte - 1);
    while (byte > 0 && isSpace(byte - 1))
        --byte;
    while (byte > 0 && !isSpace(byte - 1))
        --byte;
    return byte;
}

std::size_t TextLine::after(std::size_t byte, bool wholeWord) const {
    const std::size_t end = now_.text.size();
    const auto isSpace = [this](std::size_t at) { return now_.text[at] == ' '; };
    if (!wholeWord) {
        byte = std::min(byte + 1, end);
        while (byte < end && continues(now_.text[byte]))
            ++byte;
        return byte;
    }
    while (byte < end && isSpace(byte))
        ++byte;
    while (byte < end && !isSpace(byte))
        ++byte;
    return byte;
}

void TextLine::remember() {
    past_.push_back(now_);
    if (past_.size() > kMaxUndos)
        past_.erase(past_.begin());
}

void TextLine::erase(std::size_t from, std::size_t to) {
    now_.text.erase(from, to - from);
    now_.caret = now_.anchor = from;
}

} // namespace audioldm
