// What the editor shows of the link.
#pragma once

#include "link/companion.hpp"

#include <string>
#include <vector>

namespace audioldm {

enum class Connection { looking, connected, away };

struct JobView {
    std::string kind, prompt;
    /** Jobs ahead of it; 0 while it is rendered. */
    int position = 0;
    /** 0 to 1. */
    double progress = 0;
    /** Negative: not known yet. */
    double secondsLeft = -1;
};

struct LinkView {
    Connection connection = Connection::looking;
    /** Where the companion is and which version, or why there is none. */
    std::string companion = "looking for audioldm-daw";
    /** The companion's version differs from the plug-in's. */
    bool otherVersion = false;
    /** The last thing worth a sentence; empty: nothing. */
    std::string notice;
    std::vector<JobView> jobs;
    std::vector<Preset> presets;
    /** Seconds that are captured by now; 0: nothing is. */
    double capturedSeconds = 0;
};

} // namespace audioldm
