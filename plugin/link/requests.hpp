// Requests for the companion, made of what the musician set.
#pragma once

#include "audio/transport.hpp"
#include "parameters.hpp"
#include "project/project.hpp"
#include "project/request.hpp"

#include <string>

namespace audioldm {

/** A part of a take, in seconds; empty where nothing is selected. */
struct Selection {
    double from = 0, to = 0;

    bool isEmpty() const { return to <= from; }
};

/** What to do with a take or a captured clip. */
struct Edit {
    /** transfer, inpaint, continue, upscale or vary. */
    std::string kind;
    int take = 0;
    Selection selection;
};

/** A new sound, in bars of the host's tempo and metre or in seconds. */
Request newSound(const ProjectData& project, const ParameterValues& parameters,
                 const Transport& transport, double sampleRate);

Request editOf(const Take& take, const Edit& edit, const ProjectData& project,
               const ParameterValues& parameters, const Transport& transport, double sampleRate);

/** The same take once more, from its recipe. */
Request again(const Take& take);

} // namespace audioldm
