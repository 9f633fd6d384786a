// A companion on this machine, over OSC.
#pragma once

#include "link/companion.hpp"
#include "link/net/osc_message.hpp"

#include <chrono>
#include <map>

namespace audioldm {

/**
 * Over UDP: a client of audioldm-daw is its address, and a UDP socket keeps its own when the
 * companion restarts. So a repeated request meets the job that it made before the restart.
 */
class OscCompanion : public Companion {
  public:
    OscCompanion(std::uint16_t port, CompanionListener& listener);

    void submit(const std::string& id, const Request& request) override;
    void cancel(const std::string& id) override;
    void askForPresets() override;
    void askForPreset(const std::string& name) override;
    void work(Milliseconds wait) override;
    std::string address() const override;

  private:
    using Clock = std::chrono::steady_clock;

    struct OpenRequest {
        std::string packet;
        Clock::time_point sent;
        bool heard = false;
    };

    void send(const OscMessage& message) { send(message.packet()); }
    void send(const std::string& packet);
    void sendWhatIsDue();
    void watchSilence();
    void refused();
    void disconnected(const std::string& sentence);
    void handle(const ReceivedOsc& message);
    void handleJob(const ReceivedOsc& message);
    void handleFail(const ReceivedOsc& message);
    void handlePreset(const ReceivedOsc& message);
    void handleSetting(const std::string& name, const FieldValue& value);
    void askForSettings();

    const std::uint16_t port_;
    CompanionListener& listener_;
    Socket socket_;
    bool connected_ = false;
    Clock::time_point lastHeard_, lastPing_, lastTold_;
    std::map<std::string, OpenRequest> open_;
    std::vector<Preset> presets_;
    PresetValues preset_;
    std::map<std::string, FieldValue> defaults_;
};

} // namespace audioldm
