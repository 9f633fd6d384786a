// Files dropped on the window: Windows sends WM_DROPFILES, which we read before DPF's window does.
#ifdef _WIN32

#include "desktop/file_drop.hpp"

#include <filesystem>
#include <utility>

#include <windows.h>

#include <commctrl.h>
#include <shellapi.h>

namespace audioldm {

struct FileDrop::Implementation {
    explicit Implementation(HWND handle) : window(handle) {
        SetWindowSubclass(window, onMessage, 1, DWORD_PTR(this));
        DragAcceptFiles(window, TRUE);
    }
    ~Implementation() { RemoveWindowSubclass(window, onMessage, 1); }

    static LRESULT CALLBACK onMessage(HWND window, UINT message, WPARAM w, LPARAM l, UINT_PTR,
                                      DWORD_PTR self) {
        if (message != WM_DROPFILES)
            return DefSubclassProc(window, message, w, l);
        reinterpret_cast<Implementation*>(self)->receive(HDROP(w));
        return 0;
    }

    void receive(HDROP drop) {
        const UINT count = DragQueryFileW(drop, 0xFFFFFFFF, nullptr, 0);
        for (UINT k = 0; k < count; ++k) {
            std::wstring name(DragQueryFileW(drop, k, nullptr, 0) + 1, L'\0');
            DragQueryFileW(drop, k, name.data(), UINT(name.size()));
            name.pop_back();
            paths.push_back(std::filesystem::path(name).u8string());
        }
        DragFinish(drop);
    }

    const HWND window;
    std::vector<std::string> paths;
};

FileDrop::FileDrop(std::uintptr_t window) : implementation_(new Implementation(HWND(window))) {}

FileDrop::~FileDrop() = default;

std::vector<std::string> FileDrop::take() {
    return std::exchange(implementation_->paths, {});
}

} // namespace audioldm

#endif
