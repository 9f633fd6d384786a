// The jobs that this instance waits for.
#pragma once

#include "link/link_view.hpp"
#include "project/project_data.hpp"

#include <chrono>
#include <set>
#include <string>
#include <vector>

namespace audioldm {

struct Job {
    std::string id;
    Request request;
    /** Where its takes begin in the song. */
    SongPosition anchor;
    /** The number of the take that is rendered again; 0: it is a new one. */
    int replaces = 0;
    std::set<int> takesSeen;
    int position = 0, step = 0, numSteps = 0;
    std::chrono::steady_clock::time_point firstStep{};
};

class Jobs {
  public:
    Jobs();

    /** Valid until the next add() or remove(). */
    Job& add(Request request, SongPosition anchor, int replaces);
    Job* find(const std::string& id);
    void remove(const std::string& id);
    void progress(Job& job, int step, int numSteps);

    const std::vector<Job>& all() const { return jobs_; }
    std::vector<JobView> view() const;
    /** Of the first job, 0 to 1; 0 where there is none. */
    double firstProgress() const;

  private:
    std::vector<Job> jobs_;
    /** Ids must differ from those of every other instance, and of earlier runs. */
    std::string prefix_;
    unsigned counter_ = 0;
};

} // namespace audioldm
