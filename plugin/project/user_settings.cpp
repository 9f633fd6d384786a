#include "project/user_settings.hpp"

#include "files/folders.hpp"
#include "project/numbers.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace audioldm {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxPrompts = 100;

fs::path placeFile() {
    return fs::u8path(settingsFolder()) / "plugin-companion";
}

fs::path promptsFile() {
    return fs::u8path(settingsFolder()) / "plugin-prompts";
}

std::vector<std::string> linesOf(const fs::path& path) {
    std::vector<std::string> lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        lines.push_back(line);
    return lines;
}

/** Written beside the file first, so that two instances never leave half of it. */
bool replaceFile(const fs::path& path, const std::vector<std::string>& lines) {
    fs::path part = path;
    part += ".part";
    {
        std::ofstream file(part, std::ios::trunc);
        std::error_code ignored;
        fs::permissions(part, fs::perms::owner_read | fs::perms::owner_write, ignored);
        for (const std::string& line : lines)
            file << line << '\n';
        if (!file.flush())
            return false;
    }
    std::error_code error;
    fs::rename(part, path, error);
    return !error;
}

} // namespace

CompanionPlace loadCompanionPlace() {
    CompanionPlace place;
    const std::vector<std::string> lines = linesOf(placeFile());
    if (lines.size() < 3)
        return place;
    place.host = lines[0];
    place.port = std::uint16_t(parsed<unsigned>(lines[1], place.port));
    place.token = lines[2];
    return place;
}

bool saveCompanionPlace(const CompanionPlace& place) {
    return replaceFile(placeFile(), {place.host, std::to_string(place.port), place.token});
}

std::vector<std::string> promptHistory() {
    return linesOf(promptsFile());
}

void rememberPrompt(const std::string& prompt) {
    std::vector<std::string> prompts = promptHistory();
    if (prompt.empty() || (!prompts.empty() && prompts.front() == prompt))
        return;
    prompts.erase(std::remove(prompts.begin(), prompts.end(), prompt), prompts.end());
    prompts.insert(prompts.begin(), prompt);
    prompts.resize(std::min(prompts.size(), kMaxPrompts));
    replaceFile(promptsFile(), prompts);
}

} // namespace audioldm
