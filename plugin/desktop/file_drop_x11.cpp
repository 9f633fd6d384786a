// XDND version 5, as the target.
//
// The editor's window says that a proxy answers for it: a window of a thread of our own, so no
// event loop of DPF is touched. File managers made with GTK look at top-level windows only; where
// the host's window around the editor takes no drops itself, the proxy answers for it, too.
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
constexpr const char* kProperty = "AUDIOLDM_DROP";

} // namespace

struct FileDrop::Implementation {
    explicit Implementation(::Window window) : editor(window) {
        thread = std::thread([this] { run(); });
    }
    ~Implementation() {
        running = false;
        thread.join();
    }

    void run() {
        if (!x.isOpen())
            return;
        const X11ErrorGuard guard(x.get());
        proxy = x.makeWindow();
        x.setProperty(proxy, "XdndAware", XA_ATOM, kVersion);
        x.setProperty(proxy, "XdndProxy", XA_WINDOW, proxy);
        announce(editor);
        while (running) {
            if (!x.wait(kSliceMs)) {
                announceTopLevel();
                continue;
            }
            XEvent event;
            XNextEvent(x.get(), &event);
            if (event.type == ClientMessage)
                hear(event.xclient);
            else if (event.type == SelectionNotify)
                receive(event.xselection);
        }
        if (topLevel != 0) {
            XDeleteProperty(x.get(), topLevel, x.atom("XdndAware"));
            XDeleteProperty(x.get(), topLevel, x.atom("XdndProxy"));
        }
    }

    void announce(::Window window) const {
        x.setProperty(window, "XdndProxy", XA_WINDOW, proxy);
        x.setProperty(window, "XdndAware", XA_ATOM, kVersion);
    }

    /** Hosts put the editor into their window some time after it was made. */
    void announceTopLevel() {
        if (topLevel != 0 || looks++ > 50)
            return;
        const ::Window found = x.topLevelOf(editor);
        if (found == 0 || found == editor || x.property(found, "XdndAware") != 0)
            return;
        topLevel = found;
        announce(topLevel);
    }

    void hear(const XClientMessageEvent& message) {
        const auto source = ::Window(message.data.l[0]);
        // Whichever window the message named, the status must name it again.
        const ::Window target = message.window;
        if (message.message_type == x.atom("XdndPosition")) {
            x.send(source, "XdndStatus", target, {1, 0, 0, long(x.atom("XdndActionCopy"))});
        } else if (message.message_type == x.atom("XdndDrop")) {
            dropSource = source;
            dropTarget = target;
            XConvertSelection(x.get(), x.atom("XdndSelection"), x.atom("text/uri-list"),
                              x.atom(kProperty), proxy, Time(message.data.l[2]));
            XFlush(x.get());
        }
    }

    void receive(const XSelectionEvent& selection) {
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

    const ::Window editor;
    X11Connection x;
    ::Window proxy = 0, topLevel = 0, dropSource = 0, dropTarget = 0;
    int looks = 0;
    std::mutex mutex;
    std::vector<std::string> paths;
    std::atomic<bool> running{true};
    std::thread thread;
};

FileDrop::FileDrop(std::uintptr_t window) : implementation_(new Implementation(::Window(window))) {}

FileDrop::~FileDrop() = default;

std::vector<std::string> FileDrop::take() {
    const std::lock_guard<std::mutex> lock(implementation_->mutex);
    return std::exchange(implementation_->paths, {});
}

} // namespace audioldm

#endif
