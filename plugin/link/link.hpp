// The thread between the plug-in and the companion: jobs, takes and captured files.
#pragma once

#include "audio/processor.hpp"
#include "link/capture_writer.hpp"
#include "link/companion.hpp"
#include "link/jobs.hpp"
#include "link/link_view.hpp"
#include "link/requests.hpp"
#include "parameters.hpp"
#include "project/project.hpp"
#include "project/user_settings.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace audioldm {

class Link : private CompanionListener {
  public:
    Link(ParameterValues& parameters, Project& project, CaptureRing& captured, ClipSlots& slots,
         const AudioStatus& audio);
    ~Link() override { stop(); }

    void start();
    void stop();

    // Any thread but the audio thread, which presses the parameter `generate` instead.
    LinkView view() const;
    unsigned version() const { return version_.load(); }
    void generate();
    void edit(const Edit& edit);
    void cancel();
    /** Takes a sound file of the user's into the list. */
    void addFile(const std::string& path);
    void usePreset(const std::string& name);
    /** After the user changed where the companion is. */
    void reconnect();
    /** Shows a sentence to the user. */
    void say(const std::string& sentence);

  private:
    // CompanionListener
    void onConnected(const std::string& program, const std::string& version) override;
    void onDisconnected(const std::string& sentence) override;
    void onAccepted(const std::string& id, int position) override;
    void onProgress(const std::string& id, int step, int numSteps) override;
    void onTake(const std::string& id, const RenderedTake& take) override;
    void onDone(const std::string& id) override;
    void onFail(const std::string& id, const std::string& sentence) override;
    void onPresets(const std::vector<Preset>& presets) override;
    void onPreset(const PresetValues& preset) override;
    void onError(const std::string& sentence) override { say(sentence); }

    void loop();
    void step();
    void connect();
    void post(std::function<void()> command);
    void runCommands();
    void watchButtons();
    void writeCaptures();
    void countTakes();
    void renderMissing();
    void submit(Request request, SongPosition anchor, int replaces = 0);
    void submitEdit(const Edit& edit);
    template <class Change>
    void changeView(Change change) {
        const std::lock_guard<std::mutex> lock(mutex_);
        change(view_);
        ++version_;
        parameters_.set(kConnected, view_.connection == Connection::connected ? 1 : 0);
    }
    void showJobs();

    ParameterValues& parameters_;
    Project& project_;
    ClipSlots& slots_;
    const AudioStatus& audio_;
    CaptureWriter captureWriter_;

    // The link's thread.
    std::unique_ptr<Companion> companion_;
    Jobs jobs_;
    unsigned generatesSeen_ = 0;
    unsigned projectSeen_ = ~0u, takesCounted_ = ~0u;
    std::set<int> renderedAgain_;

    // Shared.
    mutable std::mutex mutex_;
    LinkView view_;
    std::vector<std::function<void()>> commands_;
    std::atomic<unsigned> version_{0};
    std::atomic<bool> running_{false};
    std::thread thread_;
};

} // namespace audioldm
