// OSC 1.0 messages. The companion sends single messages, never bundles.
#pragma once

#include "project/request.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace audioldm {

/** A message to send: `OscMessage("/ldm/ping").add(std::int64_t(7)).packet()`. */
class OscMessage {
  public:
    explicit OscMessage(const std::string& address) : address_(address) {}

    OscMessage& add(const std::string& text);
    /** As `i` where it fits, else as `h`. */
    OscMessage& add(std::int64_t number);
    OscMessage& add(double number);
    OscMessage& add(const FieldValue& value);

    std::string packet() const;

  private:
    std::string address_, tags_ = ",", arguments_;
};

/** A message that arrived. */
struct ReceivedOsc {
    std::string address;
    std::vector<FieldValue> arguments;

    /** An argument as text or number; empty or 0 where it is missing or of the other type. */
    std::string text(std::size_t index) const;
    double number(std::size_t index) const;
    std::int64_t whole(std::size_t index) const;
};

/** False where `packet` is not an OSC message of the types that we know. */
bool parseOsc(const std::string& packet, ReceivedOsc& message);

} // namespace audioldm
