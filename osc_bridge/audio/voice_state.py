"""Voices as they were requested, so that they can be started again on another device."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from osc_bridge.audio.arena import Arena, Gauge, Op
from osc_bridge.audio.clips import LoadedClip

__all__ = ["Levels", "MixerCommand", "VoiceState", "decibels", "stop_all"]

log = logging.getLogger("audioldm.audio")

_LEVELS: Final = {Op.MASTER: Gauge.MASTER, Op.MONITOR: Gauge.MONITOR}
_PER_DB: Final = 1_000_000
_SET: Final = 10**15
_SILENT_DB: Final = -1000.0


class MixerCommand(NamedTuple):
    """A record of :data:`osc_bridge.audio.arena.COMMAND`, its fields in that order."""

    op: Op
    voice: int = 0
    frame: int = 0
    """0: as soon as possible."""
    offset: int = 0
    frames: int = 0
    loop_start: int = 0
    period: float = 0.0
    """Frames; 0: not a loop."""
    gain: float = 0.0
    fade: int = 0
    choke: int = 0
    on_grid: int = 0


def decibels(gain_db: float) -> float:
    """The factor of a gain in dB; -inf is silence."""
    return float(10.0 ** (gain_db / 20.0))


def stop_all(fade: int, below: int = 0) -> MixerCommand:
    """Fade everything out, or (``below``) what a program that has gone was playing."""
    return MixerCommand(Op.RELEASE if below else Op.STOP_ALL, below, fade=fade)


class Levels:
    """The levels of everything, kept in the arena, so that they outlive this process."""

    def __init__(self, arena: Arena) -> None:
        self._gauges = arena.gauges

    def set(self, op: Op, gain_db: float, fade: int = 0) -> MixerCommand:
        """The command that sets a level."""
        kept = round(max(gain_db, _SILENT_DB) * _PER_DB) + _SET
        self._gauges[_LEVELS[op]] = kept
        return MixerCommand(op, gain=decibels(gain_db), fade=fade)

    def in_db(self, op: Op, unset: float) -> float:
        """The level in dB; ``unset`` where it was never set."""
        kept = int(self._gauges[_LEVELS[op]])
        level = (kept - _SET) / _PER_DB if kept else unset
        return level if level > _SILENT_DB else -math.inf

    def commands(self) -> list[MixerCommand]:
        """The commands that set all levels again."""
        levels = {op: self.in_db(op, 0.0) for op, gauge in _LEVELS.items() if self._gauges[gauge]}
        return [MixerCommand(op, gain=decibels(level)) for op, level in levels.items()]


@dataclass
class VoiceState:
    """A voice as it was requested: enough to start it again on another device or rate."""

    clip: LoadedClip
    start: MixerCommand
    skip: int
    on_start: Callable[[], None] | None = None
    on_end: Callable[[], None] | None = None
    stop: tuple[int, int] | None = None
    """Frame (0: at once) and fade of a requested stop."""

    @classmethod
    def of(
        cls, clip: LoadedClip, voice: int, frame: int, *, skip: int, looped: bool,
        gain: float, fade: int, choke: int,
        on_start: Callable[[], None] | None, on_end: Callable[[], None] | None,
    ) -> VoiceState:  # fmt: skip
        """``clip`` without its first ``skip`` frames, from ``frame`` on."""
        period = clip.period if looped else 0.0
        start = MixerCommand(
            Op.START, voice, frame, period=period, gain=gain, fade=fade, choke=choke,
            on_grid=int(period > 0),
        )  # fmt: skip
        state = cls(clip, start, skip, on_start, on_end)
        state._place()
        return state

    def started(self) -> None:
        """Call ``on_start``, the first time only."""
        listener, self.on_start = self.on_start, None
        _call(listener)

    def ended(self) -> None:
        """Call ``on_end``."""
        _call(self.on_end)

    def starts_at(self, frame: int) -> None:
        """Set the frame at which it starts or started."""
        self.start = self.start._replace(frame=frame)

    def set_gain(self, gain: float) -> None:
        """Set its level."""
        self.start = self.start._replace(gain=gain)

    def is_over(self, now: int) -> bool:
        """True where it was to stop before ``now``, or plays once and started before ``now``."""
        if self.stop is not None and self.stop[0] <= now:
            return True
        return self.start.frame <= now and self.start.period <= 0

    def stretch(self, factor: float, now: int) -> None:
        """Convert all frames to another rate, after the clip has been converted and moved.

        Args:
            factor: new rate / old rate, by which distances from ``now`` grow.
            now: a frame whose number stays.
        """
        start = self.start
        # 0 would mean "at once".
        frame = (now + round((start.frame - now) * factor)) or -1 if start.frame else 0
        period = self.clip.period if start.period else 0.0
        fade = round(start.fade * factor)
        self.start = start._replace(frame=frame, period=period, fade=fade)
        self.skip = round(self.skip * factor)
        self._place()
        if self.stop:
            frame, fade = self.stop
            self.stop = (now + round((frame - now) * factor), round(fade * factor))

    def _place(self) -> None:
        """Take over where the clip lies in memory."""
        clip, skip = self.clip, self.skip
        self.start = self.start._replace(
            offset=clip.offset + skip,
            frames=clip.frames - skip,
            loop_start=max(0, clip.loop_start - skip),
        )


def _call(listener: Callable[[], None] | None) -> None:
    """A listener that fails is logged; the voice goes on all the same."""
    if listener is not None:
        try:
            listener()
        except Exception:
            log.exception("the listener of a voice failed")
