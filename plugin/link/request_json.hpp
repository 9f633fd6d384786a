// Requests as HTTP wants them.
#pragma once

#include "project/request.hpp"

#include <string>

namespace audioldm {

/** Fields whose names have a dot or a slash, "delivery.sample_rate", become an object. */
std::string toJson(const Request& request);

} // namespace audioldm
