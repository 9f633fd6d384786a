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

void Link::showJobs() {
    changeView([&](LinkView& view) { view.jobs = jobs_.view(); });
    parameters_.set(kProgress, float(jobs_.firstProgress()));
}

} // namespace audioldm
