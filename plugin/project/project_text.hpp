// The project as the text that hosts save: one line a value, unknown lines are skipped.
#pragma once

#include "project/project_data.hpp"

#include <string>

namespace audioldm {

std::string toText(const ProjectData& project);
/** What is missing or unreadable keeps its initial value.
 *  Throws std::runtime_error for the text of another version. */
ProjectData fromText(const std::string& text);

} // namespace audioldm
