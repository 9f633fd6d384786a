// What this user set once for all instances: the companion's place, and the prompts of late.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace audioldm {

struct CompanionPlace {
    /** Empty: on this machine, found by itself. */
    std::string host;
    std::uint16_t port = 9537;
    /** Kept in the user's folder, never in a project. */
    std::string token;

    bool isRemote() const { return !host.empty(); }
};

CompanionPlace loadCompanionPlace();
/** False where it cannot be written. */
bool saveCompanionPlace(const CompanionPlace& place);

/** The newest first. */
std::vector<std::string> promptHistory();
void rememberPrompt(const std::string& prompt);

} // namespace audioldm
