#include "desktop/file_uri.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace audioldm {

namespace {

std::string decoded(const std::string& text) {
    std::string out;
    for (std::size_t k = 0; k < text.size(); ++k) {
        if (text[k] == '%' && k + 2 < text.size()) {
            out += char(std::strtol(text.substr(k + 1, 2).c_str(), nullptr, 16));
            k += 2;
        } else {
            out += text[k];
        }
    }
    return out;
}

} // namespace

std::string toFileUri(const std::string& path) {
    std::string uri = "file://";
    for (const unsigned char c : path) {
        const bool plain = c > 32 && c < 127 && std::strchr("%#?\"<>[]^`{|}\\", c) == nullptr;
        char escaped[4];
        std::snprintf(escaped, sizeof escaped, "%%%02X", c);
        uri += plain ? std::string(1, char(c)) : escaped;
    }
    return uri;
}

std::vector<std::string> fromUriList(const std::string& list) {
    std::vector<std::string> paths;
    std::istringstream lines(list);
    for (std::string line; std::getline(lines, line);) {
        while (!line.empty() && (line.back() == '\r' || line.back() == '\0'))
            line.pop_back();
        if (line.rfind("file://", 0) != 0)
            continue;
        // file:///path and file://host/path
        const std::size_t slash = line.find('/', 7);
        if (slash != std::string::npos)
            paths.push_back(decoded(line.substr(slash)));
    }
    return paths;
}

} // namespace audioldm
