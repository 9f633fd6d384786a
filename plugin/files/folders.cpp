#include "files/folders.hpp"

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <random>

namespace audioldm {

namespace {

namespace fs = std::filesystem;

std::string made(const fs::path& folder) {
    std::error_code ignored; // whoever writes a file there is told
    fs::create_directories(folder, ignored);
    return folder.u8string();
}

fs::path home() {
#ifdef _WIN32
    return fs::u8path(environmentVariable("USERPROFILE"));
#else
    return fs::u8path(environmentVariable("HOME"));
#endif
}

fs::path configurationHome() {
#if defined(_WIN32)
    return fs::u8path(environmentVariable("APPDATA"));
#elif defined(__APPLE__)
    return home() / "Library" / "Application Support";
#else
    const std::string xdg = environmentVariable("XDG_CONFIG_HOME");
    return xdg.empty() ? home() / ".config" : fs::u8path(xdg);
#endif
}

} // namespace

std::string environmentVariable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

std::string soundsFolder() {
    const std::string named = environmentVariable("AUDIOLDM_PLUGIN_FOLDER");
    return made(named.empty() ? home() / "AudioLDM" / "plugin" : fs::u8path(named));
}

std::string settingsFolder() {
    return made(configurationHome() / "audioldm-daw");
}

std::string newSoundPath(const std::string& stem) {
    char when[32];
    const std::time_t now = std::time(nullptr);
    std::strftime(when, sizeof when, "%Y%m%d-%H%M%S", std::localtime(&now));
    std::random_device random;
    const std::string name = stem + '-' + when + '-' + std::to_string(random() % 1000000) + ".wav";
    return (fs::u8path(soundsFolder()) / name).u8string();
}

} // namespace audioldm
