#include "desktop/reveal.hpp"

#include <filesystem>

#ifdef _WIN32
#include <shlobj.h>
#else
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
extern char** environ;
#endif

namespace audioldm {

namespace {

namespace fs = std::filesystem;

#ifndef _WIN32
/** Starts a program and waits for it elsewhere, so that no zombie is left. */
bool start(const char* program, const char* option, const std::string& argument) {
    const char* arguments[] = {program, option, argument.c_str(), nullptr};
    const char* withoutOption[] = {program, argument.c_str(), nullptr};
    pid_t child;
    char** words = const_cast<char**>(option != nullptr ? arguments : withoutOption);
    if (posix_spawnp(&child, program, nullptr, nullptr, words, environ) != 0)
        return false;
    // File managers return at once; those that do not must not hold up the editor.
    for (int k = 0; k < 20 && waitpid(child, nullptr, WNOHANG) == 0; ++k)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return true;
}
#endif

} // namespace

bool revealFile(const std::string& path) {
#if defined(_WIN32)
    PIDLIST_ABSOLUTE item = ILCreateFromPathW(fs::u8path(path).c_str());
    if (item == nullptr)
        return false;
    const HRESULT result = SHOpenFolderAndSelectItems(item, 0, nullptr, 0);
    ILFree(item);
    return SUCCEEDED(result);
#elif defined(__APPLE__)
    return start("open", "-R", path);
#else
    return start("xdg-open", nullptr, fs::u8path(path).parent_path().u8string());
#endif
}

} // namespace audioldm
