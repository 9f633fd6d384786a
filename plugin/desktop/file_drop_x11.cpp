// XDND version 5, as the target, in a thread and on a connection of our own.
//
// Windows may name another one that answers for them, a proxy. The editor's window names ours. So
// does the host's window around it: GTK's file managers look at top-level windows only. What is
// dropped beside the editor is handed on to the host's window.
#ifdef __linux__

#include "desktop/file_drop.hpp"
#include "desktop/file_uri.hpp"
#include "desktop/x11_connection.hpp"

#include <X11/Xatom.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

namespace audioldm {

namespace {

constexpr unsigned long kVersion = 5;
constexpr int kSliceMs = 100;
/** Hosts put the editor into their window some time after it was made. */
constexpr int kLooksForHost = 50;
constexpr const char* kProperty = "AUDIOLDM_DROP";

} // namespace

struct FileDrop::Implementation {
    explicit Implementation(::Window window);
    ~Implementation();

    void run();
    void announce(::Window window) const;
    void findHost();
    void leaveHost() const;
    void hear(const XClientMessageEvent& message);
    void hearForHost(const XClientMessageEvent& message);
    bool isOverEditor(const XClientMessageEvent& position) const;
    void handOn(const XClientMessageEvent& message) const;
    void accept(const XClientMessageEvent& position) const;
    void fetch(const XClientMessageEvent& drop);
    void receive(const XSelectionEvent& selection);

    const ::Window editor;
    X11Connection x;
    ::Window proxy = 0, host = 0;
    bool hostTakesDrops = false;
    int looks = 0;
    // The drag over the host's window.
    XClientMessageEvent enter{};
    bool handsOn = false, isInside = false;
    // The drop that is being fetched.
    ::Window dropSource = 0, dropTarget = 0;

    std::mutex mutex;
    std::vector<std::string> paths;
    std::atomic<bool> running{true};
    std::thread thread;
};

FileDrop::Implementation::Implementation(::Window window) : editor(window) {
    if (!x.isOpen())
        return;
    {
        const X11ErrorGuard guard(x.get());
        proxy = x.makeWindow();
        x.setProperty(proxy, "XdndProxy", XA_WINDOW, proxy);
        x.setProperty(proxy, "XdndAware", XA_ATOM, kVersion);
        announce(editor);
    }
    thread = std::thread([this] { run(); });
}

FileDrop::Implementation::~Implementation() {
    running = false;
    if (thread.joinable())
        thread.join();
}

void FileDrop::Implementation::run() {
    const X11ErrorGuard guard(x.get());
    while (running) {
        if (!x.wait(kSliceMs)) {
            findHost();
            continue;
        }
        XEvent event;
        XNextEvent(x.get(), &event);
        if (event.type == ClientMessage && event.xclient.window == host)
            hearForHost(event.xclient);
        else if (event.type == ClientMessage)
            hear(event.xclient);
        else if (event.type == SelectionNotify)
            receive(event.xselection);
    }
    leaveHost();
}

void FileDrop::Implementation::announce(::Window window) const {
    x.setProperty(window, "XdndProxy", XA_WINDOW, proxy);
    x.setProperty(window, "XdndAware", XA_ATOM, kVersion);
}

void FileDrop::Implementation::findHost() {
    if (host != 0 || looks++ > kLooksForHost)
        return;
    const ::Window found = x.topLevelOf(editor);
    if (found == 0 || found == editor || x.property(found, "XdndProxy") != 0)
        return;
    host = found;
    hostTakesDrops = x.property(host, "XdndAware") != 0;
    announce(host);
}

void FileDrop::Implementation::leaveHost() const {
    if (host == 0)
        return;
    XDeleteProperty(x.get(), host, x.atom("XdndProxy"));
    if (!hostTakesDrops)
        XDeleteProperty(x.get(), host, x.atom("XdndAware"));
}

void FileDrop::Implementation::hear(const XClientMessageEvent& message) {
    if (message.message_type == x.atom("XdndPosition"))
        accept(message);
    else if (message.message_type == x.atom("XdndDrop"))
        fetch(message);
}

/** Ours while the pointer is over the editor; the host never knows of those. */
void FileDrop::Implementation::hearForHost(const XClientMessageEvent& message) {
    if (message.message_type == x.atom("XdndEnter")) {
        enter = message;
        handsOn = isInside = false;
        return;
    }
    if (message.message_type == x.atom("XdndPosition")) {
        isInside = isOverEditor(message);
        if (isInside == handsOn) {
            XClientMessageEvent change = isInside ? message : enter;
            if (isInside)
                change.message_type = x.atom("XdndLeave");
            handOn(change);
            handsOn = !isInside;
        }
    }
    if (isInside)
        hear(message);
    else if (handsOn)
        handOn(message);
}

bool FileDrop::Implementation::isOverEditor(const XClientMessageEvent& position) const {
    const int pointerX = int(position.data.l[2] >> 16 & 0xFFFF);
    const int pointerY = int(position.data.l[2] & 0xFFFF);
    ::Window root, child;
    int atX, atY, ignored;
    unsigned width, height, border, depth;
    if (!XGetGeometry(x.get(), editor, &root, &ignored, &ignored, &width, &height, &border,
                      &depth) ||
        !XTranslateCoordinates(x.get(), editor, root, 0, 0, &atX, &atY, &child))
        return false;
    return pointerX >= atX && pointerX < atX + int(width) && pointerY >= atY &&
           pointerY < atY + int(height);
}

void FileDrop::Implementation::handOn(const XClientMessageEvent& message) const {
    XEvent event{};
    event.xclient = message;
    if (hostTakesDrops)
        XSendEvent(x.get(), host, False, NoEventMask, &event);
    else if (message.message_type == x.atom("XdndPosition"))
        x.send(::Window(message.data.l[0]), "XdndStatus", host, {0, 0, 0, 0});
    XFlush(x.get());
}

void FileDrop::Implementation::accept(const XClientMessageEvent& position) const {
    x.send(::Window(position.data.l[0]), "XdndStatus", position.window,
           {1, 0, 0, long(x.atom("XdndActionCopy"))});
}

void FileDrop::Implementation::fetch(const XClientMessageEvent& drop) {
    dropSource = ::Window(drop.data.l[0]);
    dropTarget = drop.window;
    XConvertSelection(x.get(), x.atom("XdndSelection"), x.atom("text/uri-list"), x.atom(kProperty),
                      proxy, Time(drop.data.l[2]));
    XFlush(x.get());
}

void FileDrop::Implementation::receive(const XSelectionEvent& selection) {
    const std::string list =
        selection.property != 0 ? x.textProperty(proxy, kProperty) : std::string();
    {
        const std::lock_guard<std::mutex> lock(mutex);
        for (const std::string& path : fromUriList(list))
            paths.push_back(path);
    }
    x.send(dropSource, "XdndFinished", dropTarget,
           {list.empty() ? 0 : 1, long(x.atom("XdndActionCopy")), 0, 0});
}

FileDrop::FileDrop(std::uintptr_t window) : implementation_(new Implementation(::Window(window))) {}

FileDrop::~FileDrop() = default;

std::vector<std::string> FileDrop::take() {
    const std::lock_guard<std::mutex> lock(implementation_->mutex);
    return std::exchange(implementation_->paths, {});
}

} // namespace audioldm

#endif
