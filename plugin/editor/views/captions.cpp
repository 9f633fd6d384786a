#include "editor/views/captions.hpp"

#include <cmath>
#include <cstdio>
#include <filesystem>

namespace audioldm {

namespace {

/** With a decimal point, whatever the host's locale is. */
std::string fixed(double value, int digits) {
    const double scale = std::pow(10.0, digits);
    const long long scaled = std::llround(std::fabs(value) * scale);
    std::string text = std::to_string(scaled);
    if (int(text.size()) <= digits)
        text.insert(0, std::size_t(digits + 1) - text.size(), '0');
    if (digits > 0)
        text.insert(text.size() - std::size_t(digits), ".");
    return (value < 0 && scaled != 0 ? "-" : "") + text;
}

std::string stateOf(const JobView& job) {
    if (job.progress >= 1)
        return "decoding";
    if (job.progress > 0)
        return "rendering, " + percent(job.progress);
    return job.position > 0 ? std::to_string(job.position) + " jobs ahead"
                            : "waiting for the first step";
}

} // namespace

std::string decibels(double db, double silence) {
    return db <= silence ? "-inf dB" : fixed(db, 1) + " dB";
}

std::string percent(double share) {
    return fixed(share * 100, 0) + " %";
}

std::string seconds(double value) {
    return fixed(value, 2) + " s";
}

std::string measures(const Take& take) {
    constexpr const char* kGap = "    ";
    std::string text = seconds(take.seconds());
    if (take.seed >= 0)
        text += kGap + ("seed " + std::to_string(take.seed));
    if (take.overview != nullptr) {
        text += kGap + ("peak " + decibels(take.overview->peakDb, -119));
        text += kGap + ("rms " + decibels(take.overview->rmsDb, -119));
    }
    if (take.score > -1.5)
        text += kGap + ("match " + fixed(take.score, 2));
    return text;
}

std::string title(const Take& take) {
    if (take.source == TakeSource::captured)
        return "captured";
    if (take.source == TakeSource::file)
        return std::filesystem::u8path(take.path).filename().u8string();
    const std::string& kind = take.request.kind;
    return kind == "text" ? take.request.prompt : kind + ": " + take.request.prompt;
}

std::string progressOf(const std::vector<JobView>& jobs) {
    if (jobs.empty())
        return "";
    const JobView& first = jobs.front();
    std::string text = stateOf(first);
    if (first.secondsLeft >= 0 && first.progress < 1)
        text += ", about " + fixed(std::ceil(first.secondsLeft), 0) + " s left";
    if (jobs.size() > 1)
        text += ", " + std::to_string(jobs.size() - 1) + " more waiting";
    return text;
}

} // namespace audioldm
