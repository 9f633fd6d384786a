// Where the plug-in keeps files. Paths are UTF-8.
#pragma once

#include <string>

namespace audioldm {

/** Captured tracks, and takes that a remote companion rendered; made if it is not there.
 *  AUDIOLDM_PLUGIN_FOLDER names another one. */
std::string soundsFolder();
/** Settings of this user, shared by all instances; made if it is not there. */
std::string settingsFolder();

/** A path in soundsFolder() that no file has. */
std::string newSoundPath(const std::string& stem);

std::string environmentVariable(const char* name);

} // namespace audioldm
