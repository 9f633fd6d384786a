// A companion or server on another machine, over HTTP with a token; takes are fetched.
#pragma once

#include "link/companion.hpp"
#include "link/net/http_client.hpp"
#include "link/net/json.hpp"
#include "project/user_settings.hpp"

#include <chrono>
#include <map>
#include <string>

namespace audioldm {

class HttpCompanion : public Companion {
  public:
    HttpCompanion(const CompanionPlace& place, CompanionListener& listener,
                  HttpClient::WhileWaiting waiting);

    void submit(const std::string& id, const Request& request) override;
    void cancel(const std::string& id) override;
    void askForPresets() override;
    void askForPreset(const std::string& name) override;
    void work(Milliseconds wait) override;
    std::string address() const override;

  private:
    using Clock = std::chrono::steady_clock;

    struct OpenJob {
        Request request;
        /** The server's id; empty until it accepted the job. */
        std::string serverId;
        std::size_t numTakes = 0;
    };

    void look();
    void answered(const HttpResponse& response);
    void post(const std::string& id, OpenJob& job);
    /** Its id at the server; empty where it cannot be sent. */
    std::string upload(const std::string& path);
    std::string requestJson(const Request& request);
    /** False when the job has ended. */
    bool follow(const std::string& id, OpenJob& job);
    void fetchTakes(const std::string& id, OpenJob& job, const Json& takes);
    void failed(const HttpResponse& response);

    const CompanionPlace place_;
    CompanionListener& listener_;
    HttpClient client_;
    bool connected_ = false;
    Clock::time_point nextLook_, nextPoll_;
    std::map<std::string, OpenJob> open_;
    Json presets_;
};

} // namespace audioldm
