// Bars and beats of the host as frames of the song, and back.
#pragma once

#include "audio/transport.hpp"

#include <cstdint>
#include <string>

namespace audioldm {

/** "5" or "5.3": bar and beat, both from 1. Negative where the text is neither. */
std::int64_t frameOfBar(const std::string& text, const Transport& transport, double sampleRate);
std::string barOfFrame(std::int64_t frame, const Transport& transport, double sampleRate);
/** The beat that is nearest to where the host is. */
std::int64_t nearestBeat(const Transport& transport, double sampleRate);

} // namespace audioldm
