// Shows a file in the system's file manager.
#pragma once

#include <string>

namespace audioldm {

/** False where nothing could be started. */
bool revealFile(const std::string& path);

} // namespace audioldm
