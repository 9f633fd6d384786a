// What the link needs of audioldm-daw, whichever way it is reached.
#pragma once

#include "link/net/socket.hpp"
#include "project/request.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace audioldm {

/** A finished take. */
struct RenderedTake {
    int index = 0;
    /** On this machine. */
    std::string path;
    std::int64_t seed = -1;
    double score = -2;
    bool silent = false;
};

struct Preset {
    std::string name, kind, description;
};

/** What a preset stands for, prompt and length included. */
struct PresetValues {
    std::string name, kind;
    std::vector<Field> fields;
};

/** Told of what the companion says, in the thread of the link. */
class CompanionListener {
  public:
    virtual ~CompanionListener() = default;

    virtual void onConnected(const std::string& program, const std::string& version) = 0;
    /** It refuses, went away or does not answer; `sentence` says which. */
    virtual void onDisconnected(const std::string& sentence) = 0;
    virtual void onAccepted(const std::string& id, int position) = 0;
    virtual void onProgress(const std::string& id, int step, int numSteps) = 0;
    virtual void onTake(const std::string& id, const RenderedTake& take) = 0;
    virtual void onDone(const std::string& id) = 0;
    virtual void onFail(const std::string& id, const std::string& sentence) = 0;
    virtual void onPresets(const std::vector<Preset>& presets) = 0;
    virtual void onPreset(const PresetValues& preset) = 0;
    virtual void onError(const std::string& sentence) = 0;
};

class Companion {
  public:
    virtual ~Companion() = default;

    /** Renders `request`. It is sent until it was heard, and again when the companion comes back:
     *  the same id makes no second job. */
    virtual void submit(const std::string& id, const Request& request) = 0;
    virtual void cancel(const std::string& id) = 0;
    virtual void askForPresets() = 0;
    virtual void askForPreset(const std::string& name) = 0;
    /** Sends what is due, waits for answers and tells of them. */
    virtual void work(Milliseconds wait) = 0;
    /** Where it is looked for, for people. */
    virtual std::string address() const = 0;
};

} // namespace audioldm
