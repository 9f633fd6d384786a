#include "desktop/focus.hpp"

#if defined(__linux__)
#include "desktop/x11_connection.hpp"
#elif defined(_WIN32)
#include <windows.h>
#endif

namespace audioldm {

#if defined(__linux__)
void giveKeyboardBack(std::uintptr_t window) {
    const X11Connection x;
    if (!x.isOpen())
        return;
    const X11ErrorGuard guard(x.get());
    if (const ::Window host = x.topLevelOf(::Window(window)))
        XSetInputFocus(x.get(), host, RevertToParent, CurrentTime);
}
#elif defined(_WIN32)
void giveKeyboardBack(std::uintptr_t window) {
    SetFocus(GetAncestor(HWND(window), GA_ROOT));
}
#else
void giveKeyboardBack(std::uintptr_t) {}
#endif

} // namespace audioldm
