"""The standalone program: starts everything and opens the panel; closing its window ends it.

It is also the interpreter of its own child processes: ``APP -m MODULE ...`` runs one of theirs.
With arguments it is ``audioldm-daw``.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from typing import Final

CHILDREN: Final = ("server.", "osc_bridge.")
"""Packages of which the program starts modules as processes of their own."""
START_S: Final = 60.0


def main(arguments: list[str]) -> int:
    """Run a child, a command, or the program with its window."""
    if arguments[:1] == ["-m"] and "".join(arguments[1:2]).startswith(CHILDREN):
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return 0
    from osc_bridge.cli import main as audioldm_daw

    if arguments:
        return audioldm_daw(arguments)
    # The program is in the main thread, its window in another; either ends both.
    if window := _window():
        threading.Thread(target=window.stay, daemon=True).start()
    threading.Thread(target=_open_panel, daemon=True).start()
    return audioldm_daw([])


class Window:
    """A small window: where the panel is, and a button that ends the program."""

    def stay(self) -> None:
        """Show it until it is closed; then ask the program to stop."""
        import tkinter

        root = tkinter.Tk()
        root.title("audioldm-daw")
        tkinter.Label(root, text="audioldm-daw is running.").pack(padx=24, pady=12)
        tkinter.Button(root, text="Open the panel", command=_show).pack(fill="x", padx=24)
        tkinter.Button(root, text="Quit", command=root.destroy).pack(fill="x", padx=24, pady=12)
        root.mainloop()
        signal.raise_signal(signal.SIGINT)


def _window() -> Window | None:
    """The window, where there is a display for it."""
    if sys.platform == "darwin":
        return None  # Tk insists on the main thread there
    if sys.platform != "win32" and not os.environ.get("DISPLAY"):
        return None
    try:
        import tkinter  # noqa: F401
    except ImportError:
        return None
    return Window()


def _panel() -> str:
    from server.config import load_config

    return f"http://127.0.0.1:{load_config().http_port}/"


def _show() -> None:
    webbrowser.open(_panel())


def _open_panel() -> None:
    """Open the panel when the program answers, or after a minute, whatever it shows then."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(_panel() + "health", timeout=2):
                break
        except (OSError, urllib.error.URLError):
            time.sleep(0.3)
    _show()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
