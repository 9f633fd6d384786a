// What the link does with jobs, and with what the companion says of them.
#include "link/link.hpp"

namespace audioldm {

namespace {

/** "0.3" of "0.3.1": between those the messages may differ. */
std::string minorVersion(const std::string& version) {
    return version.substr(0, version.find('.', version.find('.') + 1));
}

} // namespace

void Link::submit(Request request, SongPosition anchor, int replaces) {
    const Job& job = jobs_.add(std::move(request), anchor, replaces);
    companion_->submit(job.id, job.request);
    say("");
    showJobs();
}

void Link::submitEdit(const Edit& edit) {
    const ProjectView project = project_.view();
    const Take* take = project.find(edit.take);
    if (take == nullptr || take->sound == nullptr) {
        say("there is no such take to work on");
        return;
    }
    if (edit.kind == "inpaint" && edit.selection.isEmpty()) {
        say("drag over the part of the waveform that shall be made anew");
        return;
    }
    rememberPrompt(project.prompt);
    submit(editOf(*take, edit, project, parameters_, audio_.transport(), project_.sampleRate()),
           take->anchor);
}

void Link::countTakes() {
    const unsigned version = project_.version();
    if (version != takesCounted_)
        parameters_.set(kNumTakes, float(project_.view().loaded.size()));
    takesCounted_ = version;
}

/** Takes of the project whose files are gone come back from their recipes. */
void Link::renderMissing() {
    const unsigned version = project_.version();
    if (version == projectSeen_ || view().connection != Connection::connected)
        return;
    projectSeen_ = version;
    for (const Take& take : project_.view().loaded) {
        const bool hasRecipe = !take.request.kind.empty() && take.seed >= 0;
        if (take.sound != nullptr || !hasRecipe || !renderedAgain_.insert(take.number).second)
            continue;
        submit(again(take), take.anchor, take.number);
    }
}

void Link::onAccepted(const std::string& id, int position) {
    if (Job* job = jobs_.find(id))
        job->position = position;
    showJobs();
}

void Link::onProgress(const std::string& id, int step, int numSteps) {
    if (Job* job = jobs_.find(id))
        jobs_.progress(*job, step, numSteps);
    showJobs();
}

void Link::onTake(const std::string& id, const RenderedTake& rendered) {
    Job* job = jobs_.find(id);
    if (job == nullptr || !job->takesSeen.insert(rendered.index).second)
        return;
    if (job->replaces > 0) {
        project_.setFile(job->replaces, rendered.path);
        return;
    }
    TakeRecord record;
    record.path = rendered.path;
    record.request = job->request;
    record.seed = rendered.seed;
    record.score = rendered.score;
    record.silent = rendered.silent;
    record.anchor = job->anchor;
    if (project_.add(record) == 0)
        say("999 takes were made: remove the plug-in and insert it anew");
}

void Link::onDone(const std::string& id) {
    jobs_.remove(id);
    showJobs();
}

void Link::onFail(const std::string& id, const std::string& sentence) {
    jobs_.remove(id);
    showJobs();
    say(sentence);
}

// ---- The companion

void Link::onConnected(const std::string& program, const std::string& version) {
    renderedAgain_.clear();
    projectSeen_ = ~0u;
    const bool other = minorVersion(version) != minorVersion(AUDIOLDM_VERSION);
    changeView([&](LinkView& view) {
        view.connection = Connection::connected;
        view.companion = program + ' ' + version + " at " + companion_->address();
        view.otherVersion = other;
    });
    if (other)
        say("the companion is " + version +
            ", the plug-in " AUDIOLDM_VERSION ": please update the older one");
    companion_->askForPresets();
}

void Link::onDisconnected(const std::string& sentence) {
    changeView([&](LinkView& view) {
        view.connection = Connection::away;
        view.companion = sentence;
    });
}

void Link::onPresets(const std::vector<Preset>& presets) {
    changeView([&](LinkView& view) { view.presets = presets; });
}

void Link::onPreset(const PresetValues& preset) {
    Request values;
    values.fields = preset.fields;
    if (!values.text("prompt").empty())
        project_.setPrompt(values.text("prompt"));
    project_.setNegativePrompt(values.text("negative_prompt"));
    const double bars = values.number("bars", 0), seconds = values.number("audio_length_in_s", 0);
    if (bars > 0)
        parameters_.set(kBars, float(bars));
    else if (seconds > 0) {
        parameters_.set(kBars, 0);
        parameters_.set(kSeconds, float(seconds));
    }
    if (values.find("strength") != nullptr)
        parameters_.set(kStrength, float(values.number("strength", 0)));
    project_.setPreset(preset.name, preset.fields);
}

} // namespace audioldm
