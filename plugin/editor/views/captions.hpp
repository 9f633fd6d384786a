// Takes and jobs in words.
#pragma once

#include "link/link_view.hpp"
#include "project/project.hpp"

#include <string>

namespace audioldm {

/** "4.80 s   seed 42   peak -1.0 dB   rms -16.7 dB   match 0.38" */
std::string measures(const Take& take);
/** "rain on a tin roof", "inpaint: rain", "captured", or the name of a file. */
std::string title(const Take& take);
/** "rendering, 40 %, about 12 s left, 2 more waiting" */
std::string progressOf(const std::vector<JobView>& jobs);

/** "-3.5 dB"; the lowest gain is silence. */
std::string decibels(double db, double silence);
std::string percent(double share);
std::string seconds(double value);

} // namespace audioldm
