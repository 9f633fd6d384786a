#include "link/requests.hpp"

#include "project/numbers.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace audioldm {

namespace {

/** Fields of a preset that the plug-in has its own controls for. */
bool isOurs(const std::string& name) {
    constexpr std::array<const char*, 6> ours{"prompt", "negative_prompt", "audio_length_in_s",
                                              "bars",   "strength",        "loop"};
    return std::find(ours.begin(), ours.end(), name) != ours.end();
}

/** Fades and trimming, which the companion refuses for a loop. */
bool shapesEnds(const std::string& name) {
    return name.find("fade_") != std::string::npos || name.find("trim") != std::string::npos;
}

Request begin(const char* kind, const ProjectData& project, const ParameterValues& parameters,
              double sampleRate) {
    Request request;
    request.kind = kind;
    request.prompt = project.prompt;
    request.set("delivery.sample_rate", std::int64_t(std::llround(sampleRate)));
    if (!project.negativePrompt.empty())
        request.set("negative_prompt", project.negativePrompt);
    if (parameters.whole(kSeed) >= 0)
        request.set("seed", std::int64_t(parameters.whole(kSeed)));
    return request;
}

/** The host's tempo counts quarter notes, the companion's the beats of the metre. */
double beatsPerMinute(const Transport& transport) {
    return transport.bpm * transport.beatType / 4;
}

double askedSeconds(const ParameterValues& parameters, const Transport& transport) {
    const int bars = parameters.whole(kBars);
    if (bars <= 0)
        return double(parameters.get(kSeconds));
    return bars * transport.beatsPerBar * 60 / beatsPerMinute(transport);
}

void addLength(Request& request, const ParameterValues& parameters, const Transport& transport) {
    const int bars = parameters.whole(kBars);
    if (bars <= 0) {
        request.set("audio_length_in_s", askedSeconds(parameters, transport));
        return;
    }
    request.set("bars", std::int64_t(bars));
    request.set("bpm", beatsPerMinute(transport));
    request.set("beats_per_bar", std::int64_t(transport.beatsPerBar));
    request.set("loop", std::int64_t(1));
}

std::string regionOf(const Selection& selection, double seconds) {
    const double from = std::clamp(selection.from, 0.0, seconds);
    const double to = std::clamp(selection.to, from, seconds);
    return toText(from) + ':' + toText(to);
}

} // namespace

Request newSound(const ProjectData& project, const ParameterValues& parameters,
                 const Transport& transport, double sampleRate) {
    Request request = begin("text", project, parameters, sampleRate);
    addLength(request, parameters, transport);
    const bool isLoop = parameters.whole(kBars) > 0;
    for (const Field& field : project.presetFields)
        if (!isOurs(field.name) && !(isLoop && shapesEnds(field.name)))
            request.set(field.name, field.value);
    return request;
}

Request editOf(const Take& take, const Edit& edit, const ProjectData& project,
               const ParameterValues& parameters, const Transport& transport, double sampleRate) {
    Request request = begin(edit.kind.c_str(), project, parameters, sampleRate);
    request.set("clip", take.path);
    const bool isLoop = take.request.number("loop", 0) != 0;
    if (edit.kind == "transfer") {
        request.set("strength", double(parameters.get(kStrength)));
        if (isLoop)
            request.set("loop", std::int64_t(1));
    } else if (edit.kind == "vary") {
        request.set("distance", double(parameters.get(kStrength)));
    } else if (edit.kind == "inpaint") {
        request.set("regions", regionOf(edit.selection, take.seconds()));
    } else if (edit.kind == "continue") {
        request.set("audio_length_in_s", askedSeconds(parameters, transport));
    }
    return request;
}

Request again(const Take& take) {
    Request request = take.request;
    const auto chooses = [](const Field& field) {
        return field.name == "num_candidates" || field.name == "num_waveforms_per_prompt";
    };
    request.fields.erase(std::remove_if(request.fields.begin(), request.fields.end(), chooses),
                         request.fields.end());
    request.set("seed", take.seed);
    return request;
}

} // namespace audioldm
