// A connection to the X server of our own: no event loop of the host or of DPF is touched.
#pragma once

#ifdef __linux__

#include <X11/Xlib.h>

#include <string>
#include <vector>

namespace audioldm {

class X11Connection {
  public:
    X11Connection() : display_(XOpenDisplay(nullptr)) {}
    ~X11Connection() {
        if (display_ != nullptr)
            XCloseDisplay(display_);
    }
    X11Connection(const X11Connection&) = delete;
    X11Connection& operator=(const X11Connection&) = delete;

    bool isOpen() const { return display_ != nullptr; }
    ::Display* get() const { return display_; }
    ::Window root() const { return DefaultRootWindow(display_); }
    ::Window makeWindow() const;
    Atom atom(const char* name) const { return XInternAtom(display_, name, False); }

    /** The window or its ancestor that a window manager knows; 0 where there is none. */
    ::Window topLevelOf(::Window window) const;
    /** The first value of a property of 32-bit items; 0 where the window has no such property. */
    unsigned long property(::Window window, const char* name) const;
    void setProperty(::Window window, const char* name, Atom type, unsigned long value) const;
    std::string textProperty(::Window window, const char* name) const;
    /** A ClientMessage whose first item is `source`. */
    void send(::Window to, const char* type, ::Window source, const std::vector<long>& items) const;
    /** Waits for events until they come or the time is over. */
    bool wait(int milliseconds) const;

  private:
    ::Display* display_;
};

/**
 * While one lives, errors of connections of ours are ignored: a window of the host may go away at
 * any moment, and Xlib's own handler would end the host. Other connections keep their handler.
 */
class X11ErrorGuard {
  public:
    explicit X11ErrorGuard(::Display* display);
    ~X11ErrorGuard();

  private:
    ::Display* display_;
};

} // namespace audioldm

#endif
