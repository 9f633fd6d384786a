#include "link/jobs.hpp"

#include <algorithm>
#include <random>

namespace audioldm {

namespace {

using Clock = std::chrono::steady_clock;

double progressOf(const Job& job) {
    return job.numSteps > 0 ? double(job.step) / job.numSteps : 0;
}

/** From the time that the steps took so far. */
double secondsLeft(const Job& job) {
    if (job.step < 2)
        return -1;
    const std::chrono::duration<double> since = Clock::now() - job.firstStep;
    return since.count() / (job.step - 1) * (job.numSteps - job.step);
}

} // namespace

Jobs::Jobs() {
    std::random_device random;
    prefix_ = "plugin-" + std::to_string(random()) + '-';
}

Job& Jobs::add(Request request, SongPosition anchor, int replaces) {
    Job job;
    job.id = prefix_ + std::to_string(++counter_);
    job.request = std::move(request);
    job.anchor = anchor;
    job.replaces = replaces;
    jobs_.push_back(std::move(job));
    return jobs_.back();
}

Job* Jobs::find(const std::string& id) {
    const auto same = [&](const Job& job) { return job.id == id; };
    const auto found = std::find_if(jobs_.begin(), jobs_.end(), same);
    return found == jobs_.end() ? nullptr : &*found;
}

void Jobs::remove(const std::string& id) {
    const auto same = [&](const Job& job) { return job.id == id; };
    jobs_.erase(std::remove_if(jobs_.begin(), jobs_.end(), same), jobs_.end());
}

void Jobs::progress(Job& job, int step, int numSteps) {
    // A companion that was restarted begins again.
    if (job.step == 0 || step < job.step)
        job.firstStep = Clock::now();
    job.step = step;
    job.numSteps = numSteps;
    job.position = 0;
}

std::vector<JobView> Jobs::view() const {
    std::vector<JobView> views;
    for (const Job& job : jobs_)
        views.push_back({job.request.kind, job.request.prompt, job.position, progressOf(job),
                         secondsLeft(job)});
    return views;
}

double Jobs::firstProgress() const {
    return jobs_.empty() ? 0 : progressOf(jobs_.front());
}

} // namespace audioldm
