"""The grid of bars that loops are cut to, and when a change of tempo makes a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from osc_bridge.stage.transport import TempoMap, Transport

__all__ = ["LoopGrid"]

_OFF_GRID_S: Final = 0.01
"""Loops that are further off the bar than this are started again."""
_JITTER: Final = 0.01
"""Relative change of an external clock's tempo that counts as jitter."""
_SETTLE_S: Final = 0.2


class LoopGrid:
    """The tempo map that loops of bars were last cut to.

    Args:
        transport: the tempo to follow.
        frame_now: the first frame that a command can still reach.
    """

    def __init__(self, transport: Transport, frame_now: Callable[[], int]) -> None:
        self.map = transport.map
        self._transport = transport
        self._frame_now = frame_now

    @property
    def bar_s(self) -> float:
        """Length of a bar in seconds."""
        return self._transport.beats_per_bar * 60.0 / self.map.bpm

    def fits(self, line: TempoMap) -> bool:
        """True where loops on this grid are not audibly off ``line``."""
        return self._fits(self.map, line)

    def reset(self) -> None:
        """Take over the tempo of the transport at once."""
        self.map = self._transport.map

    async def settle(self) -> bool:
        """Wait until the tempo has settled and take it over; True where it is another one."""
        line, settled = self._transport.map, False
        while not settled:
            await asyncio.sleep(_SETTLE_S)
            before, line = line, self._transport.map
            settled = self._fits(before, line)
        bpm = self._mean_tempo(line)
        changed, self.map = bpm != self.map.bpm, msgspec.structs.replace(line, bpm=bpm)
        return changed

    def _fits(self, grid: TempoMap, line: TempoMap) -> bool:
        beat = line.beat_at(self._frame_now())
        off = abs(line.frame_of(beat) - grid.frame_of(beat))
        jitter = _JITTER if line.led else 0.0
        return abs(line.bpm / grid.bpm - 1.0) <= jitter and off < _OFF_GRID_S * line.sample_rate

    def _mean_tempo(self, line: TempoMap) -> float:
        """The tempo without the jitter of an external clock: the mean since the last cut."""
        grid, now = self.map, self._frame_now()
        if not line.led or line.bpm == grid.bpm or now - grid.frame < line.sample_rate:
            return line.bpm
        mean = (line.beat_at(now) - grid.beat) * 60.0 * line.sample_rate / (now - grid.frame)
        return mean if abs(mean / line.bpm - 1.0) <= _JITTER else line.bpm
