"""External clocks: Ableton Link and MIDI clock, and how the transport follows one.

A clock reports that a beat is at a time, and the tempo. The transport corrects small differences
smoothly and large ones at once; starts that are scheduled for a bar move with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from osc_bridge.audio.clock_filter import DelayLockedLoop
from osc_bridge.stage.transport import MAX_BPM, MIN_BPM, Transport
from server.errors import AudioLDMError, InvalidRequest
from server.supervision import SupervisedTask

__all__ = ["Follower", "LinkClock", "MidiClock", "monotonic_ns_at"]

_JUMP_S: Final = 0.02
"""Differences above this are corrected at once."""
_SHARE: Final = 0.1
"""Share of a smaller difference that is corrected at each beat."""
_TICKS: Final = 24
"""MIDI clock ticks per beat."""


def monotonic_ns_at(when_s: float | None) -> int:
    """The monotonic time in ns of a Unix time; now where None."""
    now = time.monotonic_ns()
    return now if when_s is None else now + round((when_s - time.time()) * 1e9)


class Follower:
    """Synchronises the transport with the beats of an external clock.

    Args:
        transport: what is synchronised.
        frame_at: the frame that leaves the converter at a monotonic time in ns.
    """

    def __init__(self, transport: Transport, frame_at: Callable[[int], int]) -> None:
        self._transport = transport
        self._frame_at = frame_at
        self.error_s = 0.0
        """Difference of the transport at the last beat."""

    def follow(self, beat: float, bpm: float, time_ns: int) -> None:
        """Synchronise with a ``beat`` at the monotonic ``time_ns``, at the tempo ``bpm``."""
        if not MIN_BPM <= bpm <= MAX_BPM:
            return
        line = self._transport.map
        frame = self._frame_at(time_ns)
        off = frame - (line.frame + (beat - line.beat) * line.frames_per_beat)
        self.error_s = off / line.sample_rate
        if abs(self.error_s) > _JUMP_S:
            self._transport.sync(beat, bpm, frame, led=True)
        elif abs(off) > 1.0 or bpm != line.bpm:
            self._transport.sync(beat, bpm, frame - off * (1.0 - _SHARE), led=True)


class MidiClock:
    """Follows a MIDI clock: 24 ticks per beat, start, stop, continue and song position."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._ticks = 0
        self._seen = 0
        self._stopped = False
        """True where ticks go on, but the song does not."""
        self._period = DelayLockedLoop(60.0 / 120.0 / _TICKS, bandwidth_hz=0.5, reset_s=0.25)
        self._last_s = 0.0

    def receive(self, kind: str, time_ns: int, position: int = 0) -> None:
        """Handle a real-time message; kinds are named as in mido: clock, start, stop, ..."""
        if kind in ("start", "continue", "stop"):
            self._stopped = kind == "stop"
        if kind == "start":
            self._ticks, self._seen = 0, 0
        elif kind == "songpos":
            self._ticks = position * 6
        elif kind == "clock":
            self._tick(time_ns * 1e-9)

    def _tick(self, now_s: float) -> None:
        if self._seen == 1:
            # The first two ticks give the initial tempo.
            self._period.reset(min(0.125, max(0.004, now_s - self._last_s)))
        due_s = self._period.update(now_s)
        self._last_s, self._seen = now_s, self._seen + 1
        if self._stopped:
            return
        if self._seen > _TICKS and self._ticks % 6 == 0:
            bpm = 60.0 / (self._period.period * _TICKS)
            self._follower.follow(self._ticks / _TICKS, round(bpm, 2), int(due_s * 1e9))
        self._ticks += 1


class LinkClock:
    """Follows Ableton Link through aalink (``pip install aalink``).

    Raises:
        InvalidRequest: aalink is not installed.
    """

    POLL_S: Final = 0.05
    _MAX_READ_NS: Final = 300_000
    """A reading that took longer was interrupted and is dropped."""

    def __init__(self, follower: Follower, transport: Transport) -> None:
        try:
            from aalink import Link
        except ImportError as error:
            raise InvalidRequest("Ableton Link needs aalink: pip install aalink") from error
        self._follower = follower
        self._transport = transport
        self._link: Any = Link(transport.bpm)
        self._link.quantum = float(transport.beats_per_bar)
        self._link.enabled = True
        self._task = SupervisedTask(
            "the poll of Ableton Link", self._poll, expected=(AudioLDMError,)
        )

    @property
    def peers(self) -> int:
        """Number of other programs in the session."""
        return int(self._link.num_peers)

    def set_tempo(self, bpm: float) -> None:
        """Change the tempo of the session."""
        self._link.tempo = bpm

    def set_quantum(self, beats: float) -> None:
        """Synchronise the phase every ``beats`` beats."""
        self._link.quantum = float(beats)

    async def close(self) -> None:
        """Leave the session."""
        await self._task.stop()
        self._link.enabled = False

    async def _poll(self) -> None:
        while True:
            before = time.monotonic_ns()
            beat, bpm = float(self._link.beat), float(self._link.tempo)
            after = time.monotonic_ns()
            if after - before < self._MAX_READ_NS:
                self._follower.follow(beat, bpm, (before + after) // 2)
            await asyncio.sleep(self.POLL_S)
