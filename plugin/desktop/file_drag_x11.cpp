// XDND version 5, as the source.
//
// In a thread and on a connection of its own: Qt hosts wait for the file's name in the very thread
// that runs our editor. The pointer is asked for, not grabbed, since the press has grabbed it for
// the editor's window already.
#ifdef __linux__

#include "desktop/file_drag.hpp"
#include "desktop/file_uri.hpp"
#include "desktop/x11_connection.hpp"

#include <X11/Xatom.h>

#include <atomic>
#include <thread>

namespace audioldm {

namespace {

constexpr long kVersion = 5;
constexpr int kSliceMs = 8;
constexpr int kStatusSlices = 100, kFinishSlices = 600;

struct Pointer {
    ::Window target = 0;
    int x = -1, y = -1;
    bool isDown = false;
};

/** One drag, from the first movement to the drop. */
class DragSession {
  public:
    explicit DragSession(const std::string& path) : uri_(toFileUri(path) + "\r\n") {}

    void run() {
        if (!x_.isOpen())
            return;
        const X11ErrorGuard guard(x_.get());
        source_ = x_.makeWindow();
        XSetSelectionOwner(x_.get(), x_.atom("XdndSelection"), source_, CurrentTime);
        followPointer();
        drop();
    }

  private:
    void followPointer() {
        int lastX = -1, lastY = -1;
        for (;;) {
            answer(kSliceMs);
            const Pointer now = pointer();
            if (!now.isDown)
                return;
            if (now.target != target_)
                enter(now.target);
            if (target_ == 0 || waiting_ || (now.x == lastX && now.y == lastY))
                continue;
            lastX = now.x;
            lastY = now.y;
            waiting_ = true;
            x_.send(target_, "XdndPosition", source_,
                    {0, long(now.x) << 16 | now.y, CurrentTime, long(x_.atom("XdndActionCopy"))});
        }
    }

    void enter(::Window target) {
        if (target_ != 0)
            x_.send(target_, "XdndLeave", source_, {0, 0, 0, 0});
        target_ = target;
        accepted_ = waiting_ = false;
        if (target_ != 0)
            x_.send(target_, "XdndEnter", source_,
                    {kVersion << 24, long(x_.atom("text/uri-list")), 0, 0});
    }

    void drop() {
        for (int k = 0; k < kStatusSlices && waiting_; ++k)
            answer(kSliceMs);
        if (target_ == 0)
            return;
        x_.send(target_, accepted_ ? "XdndDrop" : "XdndLeave", source_, {0, CurrentTime, 0, 0});
        // The host fetches the name now; the connection must live until it has done so.
        for (int k = 0; k < kFinishSlices && accepted_ && !finished_; ++k)
            answer(kSliceMs);
    }

    /** The outermost window below the pointer that takes drops. */
    Pointer pointer() const {
        Pointer now;
        ::Window root, child;
        int wx, wy;
        unsigned buttons = 0;
        if (!XQueryPointer(x_.get(), x_.root(), &root, &child, &now.x, &now.y, &wx, &wy, &buttons))
            return now;
        now.isDown = (buttons & Button1Mask) != 0;
        while (child != 0 && x_.property(child, "XdndAware") == 0) {
            ::Window below = 0;
            if (!XTranslateCoordinates(x_.get(), x_.root(), child, now.x, now.y, &wx, &wy, &below))
                return now;
            child = below;
        }
        now.target = child;
        return now;
    }

    void answer(int milliseconds) {
        if (!x_.wait(milliseconds))
            return;
        while (XPending(x_.get()) > 0) {
            XEvent event;
            XNextEvent(x_.get(), &event);
            if (event.type == SelectionRequest)
                giveFile(event.xselectionrequest);
            else if (event.type == ClientMessage)
                hear(event.xclient);
        }
    }

    void hear(const XClientMessageEvent& message) {
        if (message.message_type == x_.atom("XdndStatus")) {
            waiting_ = false;
            accepted_ = (message.data.l[1] & 1) != 0;
        } else if (message.message_type == x_.atom("XdndFinished")) {
            finished_ = true;
        }
    }

    void giveFile(const XSelectionRequestEvent& request) {
        const Atom uriList = x_.atom("text/uri-list");
        XEvent reply{};
        reply.xselection.type = SelectionNotify;
        reply.xselection.requestor = request.requestor;
        reply.xselection.selection = request.selection;
        reply.xselection.target = request.target;
        reply.xselection.time = request.time;
        if (request.target == uriList) {
            reply.xselection.property = request.property;
            XChangeProperty(x_.get(), request.requestor, request.property, uriList, 8,
                            PropModeReplace, reinterpret_cast<const unsigned char*>(uri_.data()),
                            int(uri_.size()));
        } else if (request.target == x_.atom("TARGETS")) {
            reply.xselection.property = request.property;
            XChangeProperty(x_.get(), request.requestor, request.property, XA_ATOM, 32,
                            PropModeReplace, reinterpret_cast<const unsigned char*>(&uriList), 1);
        }
        XSendEvent(x_.get(), request.requestor, False, NoEventMask, &reply);
        XFlush(x_.get());
    }

    X11Connection x_;
    const std::string uri_;
    ::Window source_ = 0, target_ = 0;
    bool accepted_ = false, waiting_ = false, finished_ = false;
};

} // namespace

struct FileDrag::Implementation {
    std::thread thread;
    std::atomic<bool> isBusy{false};

    void join() {
        if (thread.joinable())
            thread.join();
    }
    ~Implementation() { join(); }
};

FileDrag::FileDrag(std::uintptr_t) : implementation_(new Implementation) {}

FileDrag::~FileDrag() = default;

bool FileDrag::begin(const std::string& path) {
    Implementation& drag = *implementation_;
    if (drag.isBusy.exchange(true))
        return false;
    drag.join();
    drag.thread = std::thread([&drag, path] {
        DragSession(path).run();
        drag.isBusy = false;
    });
    return true;
}

} // namespace audioldm

#endif
