"""What is kept from one measurement to the next: the bands that are occupied, and the tempo."""

from __future__ import annotations

from typing import Final

from osc_bridge.stage.clock_source import ClockSource
from osc_bridge.stage.listening.measures import Heard, merged, occupied
from osc_bridge.stage.transport import MAX_BPM, MIN_BPM, Transport

__all__ = ["OccupiedBands", "TempoFollower"]

_SMOOTHING: Final = 0.5
"""Weight of the newest measurement of a band."""
_SAME_TEMPO: Final = 0.02
_WORTH_IT: Final = 0.01
"""Relative change from which the tempo is set."""


class OccupiedBands:
    """The bands that the input occupies; a band that flickers stays as it is."""

    def __init__(self) -> None:
        self._levels_db: tuple[float, ...] = ()
        self._taken: frozenset[int] = frozenset()

    @property
    def hertz(self) -> tuple[tuple[float, float], ...]:
        """Lowest and highest frequency of each, those side by side as one."""
        return merged(self._taken)

    def hear(self, heard: Heard) -> None:
        """Take in a measurement; silence occupies nothing."""
        if heard.silent:
            self._levels_db, self._taken = (), frozenset()
            return
        old = self._levels_db or heard.bands_db
        pairs = zip(old, heard.bands_db, strict=True)
        self._levels_db = tuple(a + _SMOOTHING * (b - a) for a, b in pairs)
        self._taken = occupied(self._levels_db, self._taken)


class TempoFollower:
    """Sets the tempo when two measurements in a row agree, where no other clock leads."""

    def __init__(self, transport: Transport, clock: ClockSource) -> None:
        self._transport = transport
        self._clock = clock
        self._before = 0.0

    @property
    def bar_s(self) -> float:
        """Length of a bar."""
        return self._transport.bar_s

    def hear(self, bpm: float) -> None:
        """Take in a measurement; 0: there is no beat."""
        before, self._before = self._before, bpm
        same = bpm > 0.0 and before > 0.0 and abs(bpm / before - 1.0) <= _SAME_TEMPO
        if not same or self._clock.name not in ("internal", "link"):
            return
        # Half and double tempo sound alike: the one that is nearest to the current one.
        now = self._transport.bpm
        octaves = [bpm * factor for factor in (0.5, 1.0, 2.0)]
        nearest = min(octaves, key=lambda tempo: max(tempo / now, now / tempo))
        if MIN_BPM <= nearest <= MAX_BPM and abs(nearest / now - 1.0) > _WORTH_IT:
            self._clock.set_tempo(round(nearest, 1))
