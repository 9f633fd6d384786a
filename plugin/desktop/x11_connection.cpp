#include "desktop/x11_connection.hpp"

#ifdef __linux__

#include <X11/Xatom.h>

#include <algorithm>
#include <mutex>
#include <poll.h>

namespace audioldm {

namespace {

std::mutex guardMutex;
std::vector<::Display*> guarded;
XErrorHandler hostHandler = nullptr;

int ignoreOurs(::Display* display, XErrorEvent* event) {
    {
        const std::lock_guard<std::mutex> lock(guardMutex);
        if (std::find(guarded.begin(), guarded.end(), display) != guarded.end())
            return 0;
    }
    return hostHandler != nullptr ? hostHandler(display, event) : 0;
}

} // namespace

X11ErrorGuard::X11ErrorGuard(::Display* display) : display_(display) {
    const std::lock_guard<std::mutex> lock(guardMutex);
    if (guarded.empty())
        hostHandler = XSetErrorHandler(ignoreOurs);
    guarded.push_back(display);
}

X11ErrorGuard::~X11ErrorGuard() {
    XSync(display_, False);
    const std::lock_guard<std::mutex> lock(guardMutex);
    guarded.erase(std::find(guarded.begin(), guarded.end(), display_));
    if (!guarded.empty())
        return;
    // Where the host has set another handler in the meantime, that one stays.
    const XErrorHandler now = XSetErrorHandler(hostHandler);
    if (now != ignoreOurs)
        XSetErrorHandler(now);
}

::Window X11Connection::makeWindow() const {
    return XCreateSimpleWindow(display_, root(), -10, -10, 1, 1, 0, 0, 0);
}

::Window X11Connection::topLevelOf(::Window window) const {
    while (window != 0 && property(window, "WM_STATE") == 0) {
        ::Window root, parent = 0, *children = nullptr;
        unsigned count;
        if (XQueryTree(display_, window, &root, &parent, &children, &count) == 0)
            return 0;
        if (children != nullptr)
            XFree(children);
        window = parent == root ? 0 : parent;
    }
    return window;
}

unsigned long X11Connection::property(::Window window, const char* name) const {
    Atom type;
    int format;
    unsigned long count = 0, left, value = 0;
    unsigned char* data = nullptr;
    if (XGetWindowProperty(display_, window, atom(name), 0, 1, False, AnyPropertyType, &type,
                           &format, &count, &left, &data) == Success &&
        count > 0 && format == 32)
        value = *reinterpret_cast<unsigned long*>(data);
    if (data != nullptr)
        XFree(data);
    return value;
}

void X11Connection::setProperty(::Window window, const char* name, Atom type,
                                unsigned long value) const {
    XChangeProperty(display_, window, atom(name), type, 32, PropModeReplace,
                    reinterpret_cast<const unsigned char*>(&value), 1);
    XFlush(display_);
}

std::string X11Connection::textProperty(::Window window, const char* name) const {
    constexpr long kMaxWords = 65536;
    Atom type;
    int format;
    unsigned long count = 0, left;
    unsigned char* data = nullptr;
    std::string text;
    if (XGetWindowProperty(display_, window, atom(name), 0, kMaxWords, True, AnyPropertyType, &type,
                           &format, &count, &left, &data) == Success &&
        format == 8)
        text.assign(reinterpret_cast<char*>(data), count);
    if (data != nullptr)
        XFree(data);
    return text;
}

void X11Connection::send(::Window to, const char* type, ::Window source,
                         const std::vector<long>& items) const {
    XEvent event{};
    event.xclient.type = ClientMessage;
    event.xclient.display = display_;
    event.xclient.window = to;
    event.xclient.message_type = atom(type);
    event.xclient.format = 32;
    event.xclient.data.l[0] = long(source);
    std::copy(items.begin(), items.end(), event.xclient.data.l + 1);
    // The message goes to the proxy, but names the window that it is for.
    const ::Window proxy = property(to, "XdndProxy");
    XSendEvent(display_, proxy != 0 ? proxy : to, False, NoEventMask, &event);
    XFlush(display_);
}

bool X11Connection::wait(int milliseconds) const {
    if (XPending(display_) > 0)
        return true;
    pollfd entry{ConnectionNumber(display_), POLLIN, 0};
    poll(&entry, 1, milliseconds);
    return XPending(display_) > 0;
}

} // namespace audioldm

#endif
