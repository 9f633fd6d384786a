#include "link/osc_companion.hpp"

#include <array>

namespace audioldm {

namespace {

using namespace std::chrono_literals;

constexpr auto kPingEvery = 1s, kResendAfter = 1s, kRepeatEvery = 5s, kSilentAfter = 4s;
constexpr const char* kHost = "127.0.0.1";

/** The fields that a preset can set. The last answer completes it. */
constexpr std::array<const char*, 22> kPresetFields{"negative_prompt",
                                                    "num_inference_steps",
                                                    "guidance_scale",
                                                    "guidance_end",
                                                    "num_candidates",
                                                    "num_waveforms_per_prompt",
                                                    "sampler",
                                                    "eta",
                                                    "model",
                                                    "width",
                                                    "variety",
                                                    "key",
                                                    "say_tempo",
                                                    "strength",
                                                    "loop",
                                                    "bars",
                                                    "audio_length_in_s",
                                                    "delivery/trim",
                                                    "delivery/fade_in_s",
                                                    "delivery/fade_out_s",
                                                    "delivery/loudness_lufs",
                                                    "prompt"};

} // namespace

OscCompanion::OscCompanion(std::uint16_t port, CompanionListener& listener)
    : port_(port), listener_(listener), lastHeard_(Clock::now()) {
    socket_.openUdp(kHost, port_);
}

std::string OscCompanion::address() const {
    return std::string(kHost) + ':' + std::to_string(port_);
}

void OscCompanion::send(const std::string& packet) {
    socket_.send(packet.data(), packet.size());
}

void OscCompanion::submit(const std::string& id, const Request& request) {
    OscMessage message("/ldm/" + request.kind);
    message.add(id).add(request.prompt);
    for (const Field& field : request.fields)
        message.add(field.name).add(field.value);
    OpenRequest& open = open_[id];
    open = {message.packet(), Clock::now(), false};
    send(open.packet);
}

void OscCompanion::cancel(const std::string& id) {
    send(OscMessage("/ldm/job/cancel").add(id));
}

void OscCompanion::askForPresets() {
    presets_.clear();
    send(OscMessage("/ldm/preset/list"));
}

/** The preset becomes our settings, what differs from the defaults is kept, and the settings are
 *  cleared again: what a request says is all that it means. */
void OscCompanion::askForPreset(const std::string& name) {
    preset_ = {};
    preset_.name = name;
    defaults_.clear();
    send(OscMessage("/ldm/settings/clear"));
    askForSettings();
}

void OscCompanion::askForSettings() {
    for (const char* field : kPresetFields)
        send(OscMessage(std::string("/ldm/set/") + field));
}

void OscCompanion::work(Milliseconds wait) {
    sendWhatIsDue();
    std::string packet;
    for (Received got = socket_.receive(wait, packet); got != Received::nothing;
         got = socket_.receive(0ms, packet)) {
        ReceivedOsc message;
        if (got == Received::refused) {
            refused();
            return;
        }
        if (parseOsc(packet, message))
            handle(message);
    }
    watchSilence();
}

void OscCompanion::sendWhatIsDue() {
    const auto now = Clock::now();
    if (now - lastPing_ > kPingEvery) {
        lastPing_ = now;
        send(OscMessage(connected_ ? "/ldm/ping" : "/ldm/version"));
    }
    for (auto& [id, open] : open_) {
        // A request that was heard is repeated now and then: its end may have got lost.
        if (now - open.sent > (open.heard ? kRepeatEvery : kResendAfter)) {
            open.sent = now;
            send(open.packet);
        }
    }
}

void OscCompanion::watchSilence() {
    if (Clock::now() - lastHeard_ > kSilentAfter)
        disconnected("audioldm-daw does not answer at " + address() + "; waiting for it");
}

void OscCompanion::refused() {
    disconnected("audioldm-daw is not running; start it with: audioldm-daw");
}

void OscCompanion::disconnected(const std::string& sentence) {
    const auto now = Clock::now();
    const bool news = connected_ || lastTold_ == Clock::time_point{};
    connected_ = false;
    if (news || now - lastTold_ > kPingEvery) {
        lastTold_ = now;
        listener_.onDisconnected(sentence);
    }
}

void OscCompanion::handle(const ReceivedOsc& message) {
    lastHeard_ = Clock::now();
    if (message.address == "/ldm/version.reply") {
        if (!connected_) {
            connected_ = true;
            for (auto& [id, open] : open_)
                open.sent = {};
            listener_.onConnected(message.text(0), message.text(1));
        }
    } else if (message.address.rfind("/ldm/preset/", 0) == 0 || message.address == "/ldm/setting") {
        handlePreset(message);
    } else if (message.address == "/ldm/error") {
        listener_.onError(message.text(1));
    } else {
        handleJob(message);
    }
}

void OscCompanion::handleJob(const ReceivedOsc& message) {
    const std::string& what = message.address;
    const std::string id = message.text(0);
    const auto found = open_.find(id);
    if (found == open_.end())
        return;
    found->second.heard = true;
    if (what == "/ldm/job/accepted") {
        listener_.onAccepted(id, int(message.whole(2)));
    } else if (what == "/ldm/job/progress") {
        listener_.onProgress(id, int(message.whole(2)), int(message.whole(3)));
    } else if (what == "/ldm/take") {
        RenderedTake take;
        take.index = int(message.whole(2));
        take.path = message.text(3);
        take.seed = message.whole(7);
        take.score = message.number(8);
        take.silent = message.whole(9) != 0;
        listener_.onTake(id, take);
    } else if (what == "/ldm/job/done") {
        open_.erase(found);
        listener_.onDone(id);
    } else if (what == "/ldm/job/fail") {
        handleFail(message);
    }
}

void OscCompanion::handleFail(const ReceivedOsc& message) {
    const std::string id = message.text(0);
    // The companion shuts down; the job is in its journal and goes on when it is started again.
    if (message.text(2) == "unavailable") {
        open_[id].heard = false;
        return;
    }
    open_.erase(id);
    listener_.onFail(id, message.text(3));
}

void OscCompanion::handlePreset(const ReceivedOsc& message) {
    if (message.address == "/ldm/preset/entry") {
        presets_.push_back({message.text(0), message.text(1), message.text(2)});
    } else if (message.address == "/ldm/preset/listed") {
        listener_.onPresets(presets_);
    } else if (message.address == "/ldm/preset/used") {
        preset_.kind = message.text(1);
        askForSettings();
    } else if (message.address == "/ldm/setting" && message.arguments.size() > 1) {
        handleSetting(message.text(0), message.arguments[1]);
    }
}

/** The first round of answers are the defaults, the second one is the preset. */
void OscCompanion::handleSetting(const std::string& name, const FieldValue& value) {
    const bool isLast = name == kPresetFields.back();
    if (preset_.kind.empty()) {
        defaults_[name] = value;
        if (isLast)
            send(OscMessage("/ldm/preset/use").add(preset_.name));
        return;
    }
    const bool isLength = name == "bars" || name == "audio_length_in_s";
    if (isLength || defaults_[name] != value)
        preset_.fields.push_back({name, value});
    if (isLast) {
        send(OscMessage("/ldm/settings/clear"));
        listener_.onPreset(preset_);
    }
}

} // namespace audioldm
