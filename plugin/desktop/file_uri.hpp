// Paths as URIs, and back.
#pragma once

#include <string>
#include <vector>

namespace audioldm {

/** "file:///a%20b.wav" */
std::string toFileUri(const std::string& path);
/** The local files of a text/uri-list. */
std::vector<std::string> fromUriList(const std::string& list);

} // namespace audioldm
