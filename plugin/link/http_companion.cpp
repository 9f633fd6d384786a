#include "link/http_companion.hpp"

#include "files/folders.hpp"
#include "link/request_json.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace audioldm {

namespace {

using namespace std::chrono_literals;

constexpr auto kLookEvery = 2s;
constexpr auto kPollEvery = 250ms;

/** The fields of a preset, those of `delivery` named as OSC names them. */
void addFields(const Json& object, const std::string& prefix, std::vector<Field>& fields) {
    for (const auto& [name, value] : object.object()) {
        if (value.isObject())
            addFields(value, name + '/', fields);
        else if (value.isText())
            fields.push_back({prefix + name, value.text()});
        else if (value.isNumber() && value.number() == std::floor(value.number()))
            fields.push_back({prefix + name, std::int64_t(value.number())});
        else if (value.isNumber())
            fields.push_back({prefix + name, value.number()});
        else if (!value.isNull())
            fields.push_back({prefix + name, std::int64_t(value.isTrue())});
    }
}

} // namespace

HttpCompanion::HttpCompanion(const CompanionPlace& place, CompanionListener& listener,
                             HttpClient::WhileWaiting waiting)
    : place_(place), listener_(listener),
      client_(place.host, place.port, place.token, std::move(waiting)) {}

std::string HttpCompanion::address() const {
    return place_.host + ':' + std::to_string(place_.port);
}

void HttpCompanion::work(Milliseconds wait) {
    const auto now = Clock::now();
    if (now > nextLook_)
        look();
    if (connected_ && now > nextPoll_) {
        for (auto job = open_.begin(); job != open_.end();) {
            if (job->second.serverId.empty())
                post(job->first, job->second);
            job = follow(job->first, job->second) ? std::next(job) : open_.erase(job);
        }
        nextPoll_ = Clock::now() + kPollEvery;
    }
    std::this_thread::sleep_for(wait);
}

void HttpCompanion::look() {
    const HttpResponse health = client_.get("/health");
    nextLook_ = Clock::now() + kLookEvery;
    if (!health.isGood()) {
        answered(health);
        return;
    }
    if (connected_)
        return;
    // /health needs no token, so ask something that does.
    const HttpResponse allowed = client_.get("/v1/jobs?limit=1");
    answered(allowed);
    if (allowed.isGood()) {
        connected_ = true;
        listener_.onConnected("audioldm", Json::parse(health.body)["version"].text());
    }
}

void HttpCompanion::answered(const HttpResponse& response) {
    if (response.isGood())
        return;
    connected_ = false;
    if (response.status == 401)
        listener_.onDisconnected(address() +
                                 " wants another token: audioldm-server token add NAME");
    else if (response.status == 0)
        listener_.onDisconnected("nobody answers at " + address());
    else
        failed(response);
}

void HttpCompanion::failed(const HttpResponse& response) {
    const std::string sentence = Json::parse(response.body)["error"]["message"].text();
    listener_.onError(sentence.empty() ? address() + " answers " + std::to_string(response.status)
                                       : sentence);
}

void HttpCompanion::submit(const std::string& id, const Request& request) {
    open_[id] = {request, "", 0};
    nextPoll_ = {};
}

void HttpCompanion::cancel(const std::string& id) {
    const auto found = open_.find(id);
    if (found == open_.end())
        return;
    if (!found->second.serverId.empty()) {
        client_.remove("/v1/jobs/" + found->second.serverId);
        return;
    }
    open_.erase(found);
    listener_.onFail(id, "cancelled");
}

void HttpCompanion::post(const std::string& id, OpenJob& job) {
    const std::string body = requestJson(job.request);
    if (body.empty())
        return;
    // The same key makes no second job, also after a connection that broke.
    const HttpResponse response = client_.post(
        "/v1/jobs", "Content-Type: application/json\r\nIdempotency-Key: " + id + "\r\n", body);
    if (response.isGood()) {
        const Json accepted = Json::parse(response.body);
        job.serverId = accepted["id"].text();
        listener_.onAccepted(id, int(accepted["position"].number()));
    } else if (response.status >= 400 && response.status < 500 && response.status != 429) {
        const std::string sentence = Json::parse(response.body)["error"]["message"].text();
        job.serverId = "refused";
        listener_.onFail(id, sentence);
    }
}

std::string HttpCompanion::requestJson(const Request& request) {
    Request sent = request;
    if (const std::string clip = request.text("clip"); !clip.empty()) {
        const std::string id = upload(clip);
        if (id.empty())
            return {};
        sent.set("clip", id);
    }
    return toJson(sent);
}

std::string HttpCompanion::upload(const std::string& path) {
    std::ifstream file(std::filesystem::u8path(path), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    const HttpResponse response = client_.post("/v1/uploads", "Content-Type: audio/wav\r\n", bytes);
    if (!response.isGood()) {
        answered(response);
        return {};
    }
    return "upload:" + Json::parse(response.body)["id"].text();
}

bool HttpCompanion::follow(const std::string& id, OpenJob& job) {
    if (job.serverId == "refused")
        return false;
    if (job.serverId.empty())
        return true;
    const HttpResponse response = client_.get("/v1/jobs/" + job.serverId);
    if (!response.isGood()) {
        // A server that lost the job (404) is asked again under the same key.
        if (response.status == 404)
            job.serverId.clear();
        else
            answered(response);
        return true;
    }
    const Json state = Json::parse(response.body);
    const std::string name = state["state"].text();
    if (name == "running")
        listener_.onProgress(id, int(state["step"].number()), int(state["num_steps"].number()));
    fetchTakes(id, job, state["takes"]);
    if (name == "done" && job.numTakes >= state["takes"].array().size()) {
        listener_.onDone(id);
        return false;
    }
    if (name == "failed" || name == "cancelled") {
        listener_.onFail(id, state["error"]["message"].isText() ? state["error"]["message"].text()
                                                                : name);
        return false;
    }
    return true;
}

void HttpCompanion::fetchTakes(const std::string& id, OpenJob& job, const Json& takes) {
    while (job.numTakes < takes.array().size()) {
        const Json& take = takes.array()[job.numTakes];
        const HttpResponse sound = client_.get(take["url"].text());
        if (!sound.isGood())
            return;
        RenderedTake rendered;
        rendered.index = int(job.numTakes++);
        rendered.path = newSoundPath("take");
        rendered.seed = std::int64_t(take["seed"].number(-1));
        rendered.score = take["score"].number(-2);
        rendered.silent = take["measures"]["silent"].isTrue();
        std::ofstream file(std::filesystem::u8path(rendered.path), std::ios::binary);
        file << sound.body;
        file.close();
        listener_.onTake(id, rendered);
    }
}

void HttpCompanion::askForPresets() {
    presets_ = Json::parse(client_.get("/v1/presets").body);
    std::vector<Preset> presets;
    for (const Json& preset : presets_.array())
        presets.push_back({preset["name"].text(), preset["request"]["kind"].text(),
                           preset["description"].text()});
    listener_.onPresets(presets);
}

void HttpCompanion::askForPreset(const std::string& name) {
    for (const Json& preset : presets_.array()) {
        if (preset["name"].text() != name)
            continue;
        PresetValues values;
        values.name = name;
        values.kind = preset["request"]["kind"].text();
        addFields(preset["request"], "", values.fields);
        listener_.onPreset(values);
    }
}

} // namespace audioldm
