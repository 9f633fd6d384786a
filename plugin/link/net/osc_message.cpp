#include "link/net/osc_message.hpp"

#include <cstring>
#include <limits>

namespace audioldm {

namespace {

void putBytes(std::string& out, std::uint64_t value, int count) {
    for (int k = count - 1; k >= 0; --k)
        out.push_back(char(value >> (8 * k)));
}

/** Ends with one to four zeros, so that the length is a multiple of four. */
void putString(std::string& out, const std::string& text) {
    const std::string whole = text.c_str();
    out += whole;
    out.append(4 - whole.size() % 4, '\0');
}

class Reader {
  public:
    explicit Reader(const std::string& bytes) : bytes_(bytes) {}

    bool good() const { return good_; }

    std::string string() {
        const std::size_t end = bytes_.find('\0', at_);
        if (end == std::string::npos)
            return fail();
        const std::string text = bytes_.substr(at_, end - at_);
        skip((text.size() / 4 + 1) * 4);
        return text;
    }

    std::uint64_t number(std::size_t count) {
        std::uint64_t value = 0;
        const std::size_t from = at_;
        skip(count);
        for (std::size_t k = 0; good_ && k < count; ++k)
            value = value << 8 | std::uint8_t(bytes_[from + k]);
        return value;
    }

    std::string blob() {
        const auto size = std::size_t(number(4));
        const std::size_t from = at_;
        skip((size + 3) / 4 * 4);
        return good_ ? bytes_.substr(from, size) : std::string();
    }

    std::string fail() {
        good_ = false;
        return {};
    }

  private:
    void skip(std::size_t count) {
        if (!good_ || count > bytes_.size() - at_)
            good_ = false;
        else
            at_ += count;
    }

    const std::string& bytes_;
    std::size_t at_ = 0;
    bool good_ = true;
};

double floatOf(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return double(value);
}

double doubleOf(std::uint64_t bits) {
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

FieldValue readArgument(Reader& reader, char tag) {
    switch (tag) {
    case 's': return reader.string();
    case 'i': return std::int64_t(std::int32_t(reader.number(4)));
    case 'h': return std::int64_t(reader.number(8));
    case 'f': return floatOf(std::uint32_t(reader.number(4)));
    case 'd': return doubleOf(reader.number(8));
    case 'b': return reader.blob();
    case 'T': return std::int64_t(1);
    case 'F': return std::int64_t(0);
    default: return reader.fail();
    }
}

} // namespace

OscMessage& OscMessage::add(const std::string& text) {
    tags_ += 's';
    putString(arguments_, text);
    return *this;
}

OscMessage& OscMessage::add(std::int64_t number) {
    const bool fits = number >= std::numeric_limits<std::int32_t>::min() &&
                      number <= std::numeric_limits<std::int32_t>::max();
    tags_ += fits ? 'i' : 'h';
    putBytes(arguments_, std::uint64_t(number), fits ? 4 : 8);
    return *this;
}

OscMessage& OscMessage::add(double number) {
    std::uint64_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    tags_ += 'd';
    putBytes(arguments_, bits, 8);
    return *this;
}

OscMessage& OscMessage::add(const FieldValue& value) {
    std::visit([this](const auto& held) { add(held); }, value);
    return *this;
}

std::string OscMessage::packet() const {
    std::string out;
    putString(out, address_);
    putString(out, tags_);
    return out + arguments_;
}

std::string ReceivedOsc::text(std::size_t index) const {
    const auto* value =
        index < arguments.size() ? std::get_if<std::string>(&arguments[index]) : nullptr;
    return value != nullptr ? *value : std::string();
}

double ReceivedOsc::number(std::size_t index) const {
    const auto* value = index < arguments.size() ? std::get_if<double>(&arguments[index]) : nullptr;
    return value != nullptr ? *value : double(whole(index));
}

std::int64_t ReceivedOsc::whole(std::size_t index) const {
    const auto* value =
        index < arguments.size() ? std::get_if<std::int64_t>(&arguments[index]) : nullptr;
    return value != nullptr ? *value : 0;
}

bool parseOsc(const std::string& packet, ReceivedOsc& message) {
    Reader reader(packet);
    message.address = reader.string();
    message.arguments.clear();
    if (!reader.good() || message.address.empty() || message.address[0] != '/')
        return false;
    const std::string tags = reader.string();
    if (tags.empty() || tags[0] != ',')
        return false;
    for (std::size_t k = 1; k < tags.size() && reader.good(); ++k)
        message.arguments.push_back(readArgument(reader, tags[k]));
    return reader.good();
}

} // namespace audioldm
