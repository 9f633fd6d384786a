"""The CLAP host (tests/plugin/host) as an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from talking import Samples, Talking

Note = tuple[int, int, int, int]
"""Frame, status, and two bytes."""


class ClapHost(Talking):
    """A running host; `command` is the program and what runs it (wine)."""

    def __init__(
        self,
        command: Sequence[str],
        plugin: str,
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(command, folder / "host.log", environment, folder)
        self.folder = folder
        self.ask(f"load {plugin}")
        self.new("first")

    def __enter__(self) -> ClapHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def new(self, name: str, rate: float = 48000) -> None:
        """An instance; later calls mean it."""
        self.ask(f"new {name} {rate}")

    def set(self, **values: float) -> None:
        """Parameters by their symbols: `midi_mode` is the parameter "MIDI mode"."""
        for symbol, value in values.items():
            self.ask(f"set {_NAMES.get(symbol, symbol.capitalize())} = {value}")

    def get(self, name: str) -> float:
        """A parameter by its name."""
        return float(self.ask(f"get {name}"))

    def run(
        self,
        frames: int,
        start: int = -1,
        *,
        block: int = 0,
        pace: float = 0,
        input: Samples | None = None,
        notes: Sequence[Note] = (),
    ) -> Samples:
        """Samples of shape [2, frames]; the song plays from `start`, or is stopped (-1)."""
        if notes:
            self.ask("notes " + ", ".join(" ".join(map(str, note)) for note in notes))
        source = "-"
        if input is not None:
            source = "in.f32"
            (self.folder / source).write_bytes(np.ascontiguousarray(input.T, np.float32).tobytes())
        self.ask(f"run {frames} {start} {block} {pace} {source} out.f32")
        samples = np.fromfile(self.folder / "out.f32", np.float32)
        return samples.reshape(-1, 2).T

    def save(self, piece: int = 1 << 20) -> bytes:
        """The state, written in pieces."""
        self.ask(f"save state {piece}")
        return (self.folder / "state").read_bytes()

    def restore(self, state: bytes, piece: int = 1 << 20) -> None:
        """Load a state, read in pieces."""
        (self.folder / "state").write_bytes(state)
        self.ask(f"restore state {piece}")


_NAMES = {"midi_mode": "MIDI mode", "pitch_follow": "Pitch follow"}
