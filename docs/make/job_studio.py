"""Renders the examples of docs/jobs.md and notes what each of them cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.audio.waveform import Waveform
from server.render.pipeline import Pipeline
from server.render.take import Take
from server.requests.request import Request, TextToAudio

__all__ = ["Studio"]


class Studio:
    """The pipeline, the clips that examples work on, and what each render cost."""

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self.pipeline = pipeline
        self.folder = folder
        self.costs: list[tuple[str, float, float, float, float]] = []
        self._plain: dict[float, tuple[float, float]] = {}

    def clip(self, name: str, take: Take | Waveform) -> str:
        """A file to work on; a take keeps its recipe."""
        path = self.folder / name
        encoded = take.encode() if isinstance(take, Take) else take.encode("wav16")
        path.write_bytes(encoded)
        return str(path)

    def render(self, request: Request, title: str = "") -> list[Take]:
        """The takes; with a ``title``, their cost is noted."""
        if not title:
            return self.pipeline.render(request)
        self.pipeline.render(request)
        with watched() as used:
            takes = self.pipeline.render(request)
        seconds = takes[0].waveform.seconds
        plain_s, plain_bytes = self._plain_cost(round(seconds, 2))
        self.costs.append((title, seconds, used[0], plain_s, used[1] - plain_bytes))
        return takes

    def _plain_cost(self, seconds: float) -> tuple[float, float]:
        if seconds not in self._plain:
            request = TextToAudio(prompt="rain", audio_length_in_s=max(0.3, seconds), seed=1)
            self.pipeline.render(request)
            with watched() as used:
                self.pipeline.render(request)
            self._plain[seconds] = (used[0], used[1])
        return self._plain[seconds]


@contextmanager
def watched() -> Iterator[list[float]]:
    """Processor seconds (a busy machine does not lengthen them), and bytes of resident memory at
    the peak, of what runs inside."""
    used, done = [0.0, 0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            used[1] = max(used[1], resident())

    thread = threading.Thread(target=watch)
    thread.start()
    started = time.process_time()
    try:
        yield used
    finally:
        used[0] = time.process_time() - started
        done.set()
        thread.join()
        used[1] = max(used[1], resident())


def resident() -> float:
    """Bytes of this process in memory (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096.0
