"""Musical time: at which frame a beat is.

Beats are quarter notes, counted from 0. The tempo map is a straight line. A change of the tempo or
a correction by an external clock makes a new one; listeners then reschedule what waits for a beat.

>>> line = TempoMap(bpm=120.0, sample_rate=48000)
>>> line.frame_of(4.0), line.beat_at(48000)
(96000, 2.0)
>>> line.next_multiple(frame=100000, beats=4.0)
8.0
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from server.errors import InvalidRequest
from server.listeners import Listeners, Unlisten

__all__ = ["MAX_BPM", "MIN_BPM", "QUANTISE", "TempoMap", "Transport", "quantum_of"]

MIN_BPM: Final = 20.0
MAX_BPM: Final = 400.0
QUANTISE: Final[dict[str, float]] = {
    "none": 0.0, "sixteenth": -1 / 16, "eighth": -1 / 8, "beat": -1 / 4, "bar": 1.0,
    "2 bars": 2.0, "4 bars": 4.0, "8 bars": 8.0,
}  # fmt: skip
"""Grids by name: in bars, or as negative numbers in fractions of a whole note."""
_ON_TIME_BEATS: Final = 1e-6


class TempoMap(msgspec.Struct, frozen=True, kw_only=True):
    """A straight line through (``frame``, ``beat``)."""

    bpm: Annotated[float, Meta(ge=MIN_BPM, le=MAX_BPM)]
    sample_rate: int
    frame: float = 0.0
    beat: float = 0.0
    led: bool = False
    """True where an external clock leads: the tempo is measured and jitters."""

    @property
    def frames_per_beat(self) -> float:
        """Length of a beat."""
        return self.sample_rate * 60.0 / self.bpm

    def frame_of(self, beat: float) -> int:
        """The frame nearest to ``beat``."""
        return round(self.frame + (beat - self.beat) * self.frames_per_beat)

    def beat_at(self, frame: float) -> float:
        """The position at ``frame``."""
        return self.beat + (frame - self.frame) / self.frames_per_beat

    def next_multiple(self, frame: float, beats: float) -> float:
        """The first multiple of ``beats`` that is not before ``frame``."""
        return math.ceil((self.beat_at(frame) - _ON_TIME_BEATS) / beats) * beats


class Transport:
    """The current tempo map and meter.

    Args:
        frame_now: the first frame that a command can still reach.
        sample_rate: of the device in Hz.
        bpm: initial tempo.
        beats_per_bar: initial length of a bar.
    """

    def __init__(
        self,
        frame_now: Callable[[], int],
        sample_rate: int,
        bpm: float = 120.0,
        beats_per_bar: float = 4.0,
    ) -> None:
        self.map = TempoMap(bpm=bpm, sample_rate=sample_rate, frame=frame_now())
        self.beats_per_bar = beats_per_bar
        self._frame_now = frame_now
        self._listeners: Listeners[TempoMap] = Listeners("the transport")

    def listen(self, listener: Callable[[TempoMap], None]) -> Unlisten:
        """Call ``listener`` with every new map; returns a function that ends this."""
        return self._listeners.add(listener)

    @property
    def bpm(self) -> float:
        """The tempo."""
        return self.map.bpm

    @property
    def bar_s(self) -> float:
        """Length of a bar in seconds."""
        return self.beats_per_bar * 60.0 / self.map.bpm

    def position(self, frame: int | None = None) -> tuple[int, float]:
        """Bar (from 1, as in DAWs) and beat within it (from 1.0) at ``frame`` or now."""
        beat = self.map.beat_at(self._frame_now() if frame is None else frame)
        bar = math.floor(beat / self.beats_per_bar + _ON_TIME_BEATS)
        return bar + 1, beat - bar * self.beats_per_bar + 1.0

    def bar_frame(self, bar: int) -> int:
        """The frame at which ``bar`` (from 1) begins."""
        return self.map.frame_of((bar - 1) * self.beats_per_bar)

    def launch(self, quantum: float, earliest: int | None = None) -> tuple[float | None, int]:
        """Beat and frame of the next multiple of ``quantum`` beats; (None, 0) is at once.

        Args:
            quantum: grid in beats; 0 is none.
            earliest: first possible frame; now where None.
        """
        if quantum <= 0.0:
            return None, earliest or 0
        frame = self._frame_now() if earliest is None else earliest
        beat = self.map.next_multiple(frame, quantum)
        return beat, self.map.frame_of(beat)

    def set_tempo(self, bpm: float) -> None:
        """Change the tempo from now on; the position stays continuous.

        Raises:
            InvalidRequest: out of range.
        """
        now = self._frame_now()
        self.sync(self.map.beat_at(now), bpm, now)

    def set_meter(self, beats_per_bar: float) -> None:
        """Change the length of bars, counted from beat 0.

        Raises:
            InvalidRequest: out of range.
        """
        if not 0.25 <= beats_per_bar <= 32.0:
            raise InvalidRequest(f"beats_per_bar must be from 0.25 to 32 (got {beats_per_bar:g})")
        self.beats_per_bar = beats_per_bar

    def sync(self, beat: float, bpm: float, frame: float, *, led: bool = False) -> None:
        """Put ``beat`` at ``frame``, with the tempo ``bpm``; ``led``: by an external clock.

        Raises:
            InvalidRequest: the tempo is out of range.
        """
        if not MIN_BPM <= bpm <= MAX_BPM:
            raise InvalidRequest(f"tempo must be from {MIN_BPM:g} to {MAX_BPM:g} bpm (got {bpm:g})")
        self._set_map(msgspec.structs.replace(self.map, bpm=bpm, beat=beat, frame=frame, led=led))

    def restart(self, beat: float = 0.0, frame: int | None = None) -> None:
        """Jump to ``beat`` at ``frame``, or now."""
        self.sync(beat, self.map.bpm, self._frame_now() if frame is None else frame)

    def change_rate(self, sample_rate: int, frame: int) -> None:
        """Change the sample rate from ``frame`` on; the position in beats stays."""
        beat = self.map.beat_at(frame)
        self._set_map(TempoMap(bpm=self.map.bpm, sample_rate=sample_rate, beat=beat, frame=frame))

    def _set_map(self, line: TempoMap) -> None:
        self.map = line
        self._listeners.notify(line)


def quantum_of(word: str, beats_per_bar: float) -> float:
    """The grid with this name, in beats.

    Raises:
        InvalidRequest: no such name.

    >>> quantum_of("bar", 3), quantum_of("eighth", 3)
    (3.0, 0.5)
    """
    if word not in QUANTISE:
        raise InvalidRequest(f"quantise {word!r}: choose one of {', '.join(QUANTISE)}")
    size = QUANTISE[word]
    return size * beats_per_bar if size >= 0 else -size * 4.0
