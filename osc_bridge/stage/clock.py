"""Clocks that lead the transport: Ableton Link, MIDI clock, OSC messages, or none but our own.

A clock says "beat b is at time t, the tempo is x". Small differences are taken back smoothly,
large ones at once; what waits for a bar is moved along.
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
"""A clock that is further off than this is believed at once."""
_SHARE: Final = 0.1
"""Of a smaller difference this much is taken back each time."""
_TICKS: Final = 24
"""MIDI clock ticks a beat."""


def monotonic_ns_at(when_s: float | None) -> int:
    """The monotonic time in ns of a Unix time; now where None."""
    now = time.monotonic_ns()
    return now if when_s is None else now + round((when_s - time.time()) * 1e9)


class Follower:
    """Brings the transport into step with somebody else's beats.

    Args:
        transport: what is led.
        frame_at: the frame that is heard at a monotonic time in ns.
    """

    def __init__(self, transport: Transport, frame_at: Callable[[int], int]) -> None:
        self._transport = transport
        self._frame_at = frame_at
        self.error_s = 0.0
        """How far off the transport was when it was last told."""

    def follow(self, beat: float, bpm: float, time_ns: int) -> None:
        """``beat`` was (or will be) at the monotonic ``time_ns``; the tempo is ``bpm``."""
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
    """24 ticks a beat, start, stop, continue and song position."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._ticks = 0
        self._seen = 0
        self._stopped = False
        """Ticks go on, but the song does not."""
        self._period = DelayLockedLoop(60.0 / 120.0 / _TICKS, bandwidth_hz=0.5, reset_s=0.25)
        self._last_s = 0.0

    def receive(self, kind: str, time_ns: int, position: int = 0) -> None:
        """A real-time message, named as mido does: clock, start, continue, stop, songpos."""
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
            # The first two ticks give the tempo to begin with.
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
    """Ableton Link through aalink (``pip install 'audioldm-daw[link]'``)."""

    POLL_S: Final = 0.05
    _BLINK_NS: Final = 300_000
    """A reading that took longer than this was interrupted and says nothing."""

    def __init__(self, follower: Follower, transport: Transport) -> None:
        try:
            from aalink import Link
        except ImportError as error:
            raise InvalidRequest(
                "Ableton Link needs aalink: pip install 'audioldm-daw[link]'"
            ) from error
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
        """How many others share the beat."""
        return int(self._link.num_peers)

    def set_tempo(self, bpm: float) -> None:
        """Ask everybody for another tempo."""
        self._link.tempo = bpm

    def set_quantum(self, beats: int) -> None:
        """Be in phase with the others every ``beats``."""
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
            if after - before < self._BLINK_NS:
                self._follower.follow(beat, bpm, (before + after) // 2)
            await asyncio.sleep(self.POLL_S)
