"""The editor in the window of a host, and the places in it that tests press."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from companion import Companion
from screen import Screen

SIZE = (760, 520)
PROMPT, GENERATE, FIRST_ROW = (240, 58), (696, 58), (200, 325)


class HostWindow(Screen):
    """A screen with a host on it; `origin` is the editor's corner."""

    companion: Companion

    def new_take(self, action: Callable[[], None]) -> Path:
        """The file that an action makes the companion write."""
        before = set(self.companion.takes.glob("*.wav"))
        action()
        end = time.monotonic() + 40
        while not (new := set(self.companion.takes.glob("*.wav")) - before):
            assert time.monotonic() < end, "no take"
            time.sleep(0.1)
        time.sleep(2)  # the editor lists it
        return new.pop()

    def type_prompt(self, prompt: str) -> Path:
        """The take that comes of a prompt typed into the editor."""
        self.click(*PROMPT)
        self.key("ctrl+a")
        self.type(prompt)
        take = self.new_take(lambda: self.key("Return"))
        self.key("Escape")
        return take

    def drag_first_take(self, x: float, y: float) -> None:
        """Onto a place of the screen."""
        start = self.origin[0] + FIRST_ROW[0], self.origin[1] + FIRST_ROW[1]
        self.origin = (0, 0)
        steps = [(start[0] + 12, start[1] + 4), (start[0] + 40, start[1] - 20)]
        steps += [(x - 40, y + 12), (x - 6, y + 2), (x - 1, y), (x, y)]
        self.drag(start, *steps, pause_s=0.35)
        time.sleep(2)
