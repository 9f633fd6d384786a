"""A screen without a monitor: Xvfb and a window manager, driven by xdotool."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

PROGRAMS = ("Xvfb", "openbox", "xdotool", "xwininfo", "import")
_SHAPE = r"(?:Absolute upper-left [XY]|Width|Height): +(-?\d+)"
SCREENSHOTS = Path(__file__).resolve().parents[3] / "out" / "screenshots"


class Screen:
    """Places are pixels of the screen, or of a window that was looked up by `find`."""

    def __init__(self, display: str) -> None:
        self.display = display
        self.origin, self.height = (0, 0), 0

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to be seen here."""
        return {"DISPLAY": self.display, "LIBGL_ALWAYS_SOFTWARE": "1"}

    def _run(self, *command: str) -> str:
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        return done.stdout

    def xdotool(self, *words: str, pause_s: float = 0.15) -> str:
        """Run it, and let the window take it up."""
        output = self._run("xdotool", *words)
        time.sleep(pause_s)
        return output

    def find(self, name: str, seconds: float = 30, size: tuple[int, int] | None = None) -> None:
        """Wait for the window whose name contains `name`; later places are within it."""
        end = time.monotonic() + seconds
        while True:
            for window in self._run("xdotool", "search", "--onlyvisible", "--name", name).split():
                # xdotool itself adds the window's decorations twice.
                shape = self._run("xwininfo", "-id", window)
                x, y, width, height = map(int, re.findall(_SHAPE, shape)[:4])
                if size is None or (width, height) == size:
                    self.origin, self.height = (x, y), height
                    return
            if time.monotonic() > end:
                self.origin = (0, 0)
                self.picture("plugin-test-failed")
                raise AssertionError(f"no window {name!r}; see {SCREENSHOTS}")
            time.sleep(0.2)

    def has(self, name: str, seconds: float) -> bool:
        """Whether such a window comes up in that time."""
        end = time.monotonic() + seconds
        while not self._run("xdotool", "search", "--onlyvisible", "--name", name).split():
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
        return True

    def move(self, name: str, x: int, y: int) -> None:
        """The window whose name contains `name`."""
        search = ("search", "--onlyvisible", "--name", name)
        self.xdotool(*search, "windowactivate", "windowmove", str(x), str(y), pause_s=1)

    def at(self, x: float, y: float) -> tuple[str, str]:
        """A place of the window as xdotool wants it."""
        return str(round(self.origin[0] + x)), str(round(self.origin[1] + y))

    def click(self, x: float, y: float, times: int = 1) -> None:
        """With the left button."""
        self.xdotool("mousemove", *self.at(x, y))
        self.xdotool("click", "--repeat", str(times), "--delay", "80", "1", pause_s=0.4)

    def drag(self, *places: tuple[float, float], pause_s: float = 0.2) -> None:
        """Press at the first place, move over the others, release at the last."""
        self.xdotool("mousemove", *self.at(*places[0]))
        self.xdotool("mousedown", "1", pause_s=pause_s)
        for place in places[1:]:
            self.xdotool("mousemove", *self.at(*place), pause_s=pause_s)
        self.xdotool("mouseup", "1", pause_s=0.5)

    def key(self, *keys: str) -> None:
        """Keys by the names of X."""
        for key in keys:
            self.xdotool("key", key)

    def type(self, text: str) -> None:
        """Letter by letter."""
        self.xdotool("type", "--delay", "60", text, pause_s=0.4)

    def picture(self, name: str, width: int = 0, height: int = 0) -> npt.NDArray[np.uint8]:
        """A screenshot of the window (or the whole screen), kept in out/screenshots."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        x, y = self.origin
        crop = ("-crop", f"{width}x{height}+{x}+{y}", "+repage") if width else ()
        self._run("import", "-window", "root", *crop, str(path))
        raw = subprocess.run(
            ("convert", str(path), "-depth", "8", "rgb:-"), capture_output=True, check=True
        ).stdout
        size = subprocess.run(
            ("identify", "-format", "%w %h", str(path)), capture_output=True, text=True, check=True
        ).stdout
        columns, rows = map(int, re.findall(r"\d+", size))
        return np.frombuffer(raw, np.uint8).reshape(rows, columns, 3)


@contextlib.contextmanager
def screen(width: int = 1300, height: int = 900) -> Iterator[Screen]:
    """A screen of its own."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ("Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24",
         "-nolisten", "tcp"),
        pass_fds=(write,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with server, os.fdopen(read) as pipe:
        shown = Screen(f":{pipe.readline().strip()}")
        manager = subprocess.Popen(
            ("openbox",), env={**os.environ, **shown.environment},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield shown
        finally:
            manager.terminate()
            manager.wait(10)
            server.terminate()
