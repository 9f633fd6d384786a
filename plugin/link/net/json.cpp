#include "link/net/json.hpp"

#include "project/numbers.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace audioldm {

namespace {

constexpr int kMaxDepth = 64;

void appendUtf8(std::string& out, std::uint32_t code) {
    if (code < 0x80) {
        out += char(code);
    } else if (code < 0x800) {
        out += char(0xC0 | code >> 6);
        out += char(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        out += char(0xE0 | code >> 12);
        out += char(0x80 | (code >> 6 & 0x3F));
        out += char(0x80 | (code & 0x3F));
    } else {
        out += char(0xF0 | code >> 18);
        out += char(0x80 | (code >> 12 & 0x3F));
        out += char(0x80 | (code >> 6 & 0x3F));
        out += char(0x80 | (code & 0x3F));
    }
}

class Parser {
  public:
    explicit Parser(const std::string& text) : text_(text) {}

    Json document() {
        Json value = this->value(0);
        skipSpace();
        return good_ && at_ == text_.size() ? value : Json();
    }

  private:
    Json value(int depth) {
        skipSpace();
        const char c = at_ < text_.size() && depth < kMaxDepth ? text_[at_] : '\0';
        switch (c) {
        case '{': return object(depth);
        case '[': return array(depth);
        case '"': return Json(string());
        case 't': return word("true", Json(true));
        case 'f': return word("false", Json(false));
        case 'n': return word("null", Json());
        default: return number();
        }
    }

    Json object(int depth) {
        Json::Object members;
        for (bool more = begin('}'); more; more = next('}')) {
            skipSpace();
            const std::string key = string();
            expect(':');
            members[key] = value(depth + 1);
        }
        return Json(members);
    }

    Json array(int depth) {
        Json::Array items;
        for (bool more = begin(']'); more; more = next(']'))
            items.push_back(value(depth + 1));
        return Json(items);
    }

    std::string string() {
        std::string out;
        expect('"');
        while (good_ && at_ < text_.size() && text_[at_] != '"') {
            if (text_[at_] == '\\')
                escape(out);
            else
                out += text_[at_++];
        }
        expect('"');
        return out;
    }

    void escape(std::string& out) {
        const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
        advance(2);
        switch (c) {
        case 'b': out += '\b'; return;
        case 'f': out += '\f'; return;
        case 'n': out += '\n'; return;
        case 'r': out += '\r'; return;
        case 't': out += '\t'; return;
        case 'u': appendUtf8(out, codePoint()); return;
        default: out += c; return;
        }
    }

    /** After "\u": one unit, or two that are a surrogate pair. */
    std::uint32_t codePoint() {
        const std::uint32_t first = hexUnit();
        if (first < 0xD800 || first > 0xDBFF || text_.compare(at_, 2, "\\u") != 0)
            return first;
        advance(2);
        return 0x10000 + ((first - 0xD800) << 10) + (hexUnit() - 0xDC00);
    }

    std::uint32_t hexUnit() {
        unsigned unit = 0;
        good_ = good_ && at_ + 4 <= text_.size() &&
                std::sscanf(text_.substr(at_, 4).c_str(), "%4x", &unit) == 1;
        advance(4);
        return unit;
    }

    Json number() {
        const std::size_t end = text_.find_first_not_of("+-.0123456789eE", at_);
        const std::string digits = text_.substr(at_, end - at_);
        good_ = good_ && !digits.empty();
        at_ += digits.size();
        return Json(parsed<double>(digits, 0));
    }

    Json word(const std::string& expected, Json value) {
        good_ = good_ && text_.compare(at_, expected.size(), expected) == 0;
        advance(expected.size());
        return value;
    }

    /** Steps over a bracket; true if anything stands before its end. */
    bool begin(char end) {
        ++at_;
        skipSpace();
        if (at_ < text_.size() && text_[at_] == end) {
            ++at_;
            return false;
        }
        return good_;
    }

    /** Steps over a comma (true) or the end (false). */
    bool next(char end) {
        skipSpace();
        const char c = at_ < text_.size() ? text_[at_++] : '\0';
        good_ = good_ && (c == ',' || c == end);
        return good_ && c == ',';
    }

    void expect(char c) {
        skipSpace();
        good_ = good_ && at_ < text_.size() && text_[at_] == c;
        advance(1);
    }

    /** Never beyond the end, whatever the text is. */
    void advance(std::size_t count) { at_ = std::min(at_ + count, text_.size()); }

    void skipSpace() {
        while (at_ < text_.size() && std::string(" \t\r\n").find(text_[at_]) != std::string::npos)
            ++at_;
    }

    const std::string& text_;
    std::size_t at_ = 0;
    bool good_ = true;
};

const Json kNull;

} // namespace

Json Json::parse(const std::string& text) {
    return Parser(text).document();
}

std::string Json::quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        char code[8];
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (std::uint8_t(c) < 32) {
            std::snprintf(code, sizeof code, "\\u%04x", c);
            out += code;
        } else {
            out += c;
        }
    }
    return out + '"';
}

const Json& Json::operator[](const std::string& key) const {
    const auto& members = object();
    const auto found = members.find(key);
    return found == members.end() ? kNull : found->second;
}

const Json::Array& Json::array() const {
    static const Array empty;
    const auto* items = std::get_if<Array>(&value_);
    return items != nullptr ? *items : empty;
}

const Json::Object& Json::object() const {
    static const Object empty;
    const auto* members = std::get_if<Object>(&value_);
    return members != nullptr ? *members : empty;
}

std::string Json::text() const {
    const auto* text = std::get_if<std::string>(&value_);
    return text != nullptr ? *text : std::string();
}

double Json::number(double otherwise) const {
    const auto* number = std::get_if<double>(&value_);
    return number != nullptr ? *number : otherwise;
}

bool Json::isTrue() const {
    const auto* flag = std::get_if<bool>(&value_);
    return flag != nullptr && *flag;
}

} // namespace audioldm
