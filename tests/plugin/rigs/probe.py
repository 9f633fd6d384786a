"""An instance of the plug-in without host and window (tests/plugin/host/probe.cpp)."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from plugin_build import OUT, ROOT, SOURCES, run
from talking import Samples, Talking

SANITIZERS = {
    "": (),
    "thread": ("-fsanitize=thread",),
    "address": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
}
View = dict[str, Any]


@functools.cache
def build_probe(sanitizer: str = "") -> Path:
    """The program, of the plug-in's own sources without DPF."""
    folder = OUT / f"probe-{sanitizer or 'plain'}"
    makefile = ROOT / "tests" / "plugin" / "host" / "probe.mk"
    flags = " ".join(SANITIZERS[sanitizer])
    run(
        "make", "-f", str(makefile), f"-j{os.cpu_count()}", f"SOURCES={SOURCES}",
        f"OBJECTS={folder}", f"SANITIZER={flags}",
    )  # fmt: skip
    return folder / "probe"


class Probe(Talking):
    """A running instance; its audio thread runs in real time."""

    def __init__(self, program: Path, environment: Mapping[str, str], log: Path) -> None:
        super().__init__([str(program)], log, environment)

    def view(self) -> View:
        """All that an editor would show."""
        view: View = json.loads(self.ask("view"))
        return view

    def until(self, true: Callable[[View], object], seconds: float = 30) -> View:
        """The first view for which `true` holds."""
        end = time.monotonic() + seconds
        while not true(view := self.view()):
            assert time.monotonic() < end, f"after {seconds} s: {view}"
            time.sleep(0.05)
        return view

    def connected(self) -> View:
        """Wait for the companion and its presets."""
        return self.until(lambda view: view["connection"] == 1 and view["presets"])

    def generate(self) -> dict[str, Any]:
        """The take that comes of it."""
        count = len(self.view()["takes"])
        self.ask("generate")
        take: dict[str, Any] = self.until(lambda view: len(view["takes"]) > count)["takes"][-1]
        return take

    def close(self) -> int:
        """End it; fails where a sanitizer found something."""
        status = super().close()
        assert status == 0, self.errors()
        return status


def track(start: int, frames: int) -> Samples:
    """What the probe's track plays: the same in both channels."""
    at = np.arange(start, start + frames, dtype=np.uint64)
    value = ((at * np.uint64(7919) + np.uint64(13)) % np.uint64(20011)).astype(np.float32)
    one = value / np.float32(20011) - np.float32(0.5)
    return np.vstack([one, one])
