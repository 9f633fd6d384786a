#include "link/link.hpp"

#include "files/folders.hpp"
#include "link/http_companion.hpp"
#include "link/osc_companion.hpp"
#include "project/numbers.hpp"

#include <cmath>

namespace audioldm {

namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kOscPort = 9536;
/** How long the thread sleeps: with nothing to do, and while something is rendered or captured. */
constexpr Milliseconds kIdleWait = 40ms, kBusyWait = 10ms;

std::uint16_t oscPort() {
    return std::uint16_t(parsed<unsigned>(environmentVariable("AUDIOLDM_OSC_PORT"), kOscPort));
}

/** "0.3" of "0.3.1": between those the messages may differ. */
std::string minorVersion(const std::string& version) {
    return version.substr(0, version.find('.', version.find('.') + 1));
}

std::string lostSentence(std::uint32_t frames) {
    return std::to_string(frames) + " frames were lost: the disk is too slow";
}

} // namespace

Link::Link(ParameterValues& parameters, Project& project, CaptureRing& captured, ClipSlots& slots,
           const AudioStatus& audio)
    : parameters_(parameters), project_(project), slots_(slots), audio_(audio),
      captureWriter_(captured) {}

void Link::start() {
    running_ = true;
    thread_ = std::thread([this] { loop(); });
}

void Link::stop() {
    running_ = false;
    if (thread_.joinable())
        thread_.join();
}

void Link::loop() {
    connect();
    while (running_) {
        try {
            step();
        } catch (const std::exception& error) {
            // The host must live on, whatever a file or an answer held.
            say(error.what());
        }
    }
}

void Link::step() {
    runCommands();
    watchButtons();
    writeCaptures();
    countTakes();
    renderMissing();
    slots_.collect();
    companion_->work(jobs_.all().empty() && !captureWriter_.isOpen() ? kIdleWait : kBusyWait);
}

void Link::connect() {
    const CompanionPlace place = loadCompanionPlace();
    CompanionListener& listener = *this;
    if (place.isRemote())
        companion_ = std::make_unique<HttpCompanion>(place, listener, [this] {
            writeCaptures();
            return running_.load();
        });
    else
        companion_ = std::make_unique<OscCompanion>(oscPort(), listener);
    for (const Job& job : jobs_.all())
        companion_->submit(job.id, job.request);
    changeView([&](LinkView& view) {
        view.connection = Connection::looking;
        view.companion = "looking for audioldm-daw at " + companion_->address();
    });
}

// ---- What the other threads ask for

LinkView Link::view() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return view_;
}

void Link::post(std::function<void()> command) {
    const std::lock_guard<std::mutex> lock(mutex_);
    commands_.push_back(std::move(command));
}

void Link::runCommands() {
    std::vector<std::function<void()>> commands;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        commands.swap(commands_);
    }
    for (const auto& command : commands)
        command();
}

void Link::generate() {
    post([this] {
        const ProjectView project = project_.view();
        rememberPrompt(project.prompt);
        submit(newSound(project, parameters_, audio_.transport(), project_.sampleRate()),
               project.placement);
    });
}

void Link::edit(const Edit& edit) {
    post([this, edit] { submitEdit(edit); });
}

void Link::cancel() {
    post([this] {
        for (const Job& job : jobs_.all())
            companion_->cancel(job.id);
    });
}

void Link::addFile(const std::string& path) {
    post([this, path] {
        TakeRecord record;
        record.source = TakeSource::file;
        record.path = path;
        record.anchor = project_.view().placement;
        const int number = project_.add(record);
        const std::string problem = number > 0 ? project_.view().find(number)->problem : "";
        if (!problem.empty()) {
            project_.remove(number);
            say(problem);
        }
    });
}

void Link::usePreset(const std::string& name) {
    post([this, name] { companion_->askForPreset(name); });
}

void Link::reconnect() {
    post([this] { connect(); });
}

void Link::watchButtons() {
    const unsigned presses = parameters_.presses(kGenerate);
    if (presses != generatesSeen_)
        generate();
    generatesSeen_ = presses;
}

// ---- Jobs

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
    submit(editOf(*take, edit, project, parameters_, project_.sampleRate()), take->anchor);
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

// ---- Captured files, and what is shown

void Link::writeCaptures() {
    const bool wasOpen = captureWriter_.isOpen();
    captureWriter_.work(project_.sampleRate(), [this](const CaptureWriter::Finished& finished) {
        TakeRecord record;
        record.source = TakeSource::captured;
        record.path = finished.path;
        record.anchor = finished.anchor;
        project_.add(record);
        if (finished.lost > 0)
            say(lostSentence(finished.lost));
    });
    if (!parameters_.isOn(kCapture))
        captureWriter_.forgetProblem();
    if (!captureWriter_.problem().empty())
        say(captureWriter_.problem());
    if (wasOpen || captureWriter_.isOpen())
        changeView([&](LinkView& view) { view.capturedSeconds = captureWriter_.seconds(); });
}

void Link::say(const std::string& sentence) {
    changeView([&](LinkView& view) { view.notice = sentence; });
}

template <class Change>
void Link::changeView(Change change) {
    const std::lock_guard<std::mutex> lock(mutex_);
    change(view_);
    ++version_;
    parameters_.set(kConnected, view_.connection == Connection::connected ? 1 : 0);
}

void Link::showJobs() {
    changeView([&](LinkView& view) { view.jobs = jobs_.view(); });
    parameters_.set(kProgress, float(jobs_.firstProgress()));
}

} // namespace audioldm
