"""What is needed to take a sounding clip up again: on another frame, device or rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from osc_bridge.audio.arena import Op
from osc_bridge.audio.clips import LoadedClip

__all__ = ["MixerCommand", "Sounding"]


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


@dataclass
class Sounding:
    """A voice as it was asked for."""

    clip: LoadedClip
    start: MixerCommand
    skip: int
    stop: tuple[int, int] | None = None
    """Frame (0: at once) and fade of a stop that was asked for."""

    @classmethod
    def of(
        cls, clip: LoadedClip, voice: int, frame: int, *, skip: int, looped: bool,
        gain: float, fade: int, choke: int,
    ) -> Sounding:  # fmt: skip
        """``clip`` without its first ``skip`` frames, from ``frame`` on."""
        period = clip.period if looped else 0.0
        start = MixerCommand(
            Op.START, voice, frame, period=period, gain=gain, fade=fade, choke=choke,
            on_grid=int(period > 0),
        )  # fmt: skip
        sounding = cls(clip, start, skip)
        sounding._place()
        return sounding

    def begins_at(self, frame: int) -> None:
        """It begins, or began, at ``frame``."""
        self.start = self.start._replace(frame=frame)

    def set_gain(self, gain: float) -> None:
        """Its level is ``gain`` from now on."""
        self.start = self.start._replace(gain=gain)

    def is_over(self, now: int) -> bool:
        """True where at ``now`` it was stopped, or a clip that plays once had begun."""
        if self.stop is not None and self.stop[0] <= now:
            return True
        return self.start.frame <= now and self.start.period <= 0

    def stretch(self, factor: float, now: int) -> None:
        """Say the same as before at another rate, of a clip that may lie elsewhere.

        Distances from ``now`` grow by ``factor``, new rate / old rate.
        """
        start = self.start
        # Before the first frame is long ago; 0 would be now.
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
        """Where the clip lies in memory."""
        clip, skip = self.clip, self.skip
        self.start = self.start._replace(
            offset=clip.offset + skip,
            frames=clip.frames - skip,
            loop_start=max(0, clip.loop_start - skip),
        )
