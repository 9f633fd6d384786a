"""Clips: sounds converted to the rate of the device and placed in the sample store."""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from osc_bridge.audio.arena import CHANNELS, Arena, Gauge
from server.audio.waveform import Samples, Waveform
from server.errors import InvalidRequest, TooLarge

__all__ = ["LoadedClip", "ClipStore", "Loop", "prepare"]

log = logging.getLogger("audioldm.audio")

_SEAM_S: Final = 0.05
"""Longest crossfade from a loop's end into its beginning."""
_WRAP_S: Final = 0.05
"""A loop that is up to this much too short for its period is extended by its beginning."""


@dataclass(frozen=True)
class Loop:
    """How a sound repeats.

    Args:
        period_s: time from one repetition to the next; the length of the sound where None.
        seam_s: length of the equal-power crossfade at the seam, if the sound is long enough.
    """

    period_s: float | None = None
    seam_s: float = _SEAM_S


@dataclass(eq=False)
class LoadedClip:
    """A sound in the store. ``source`` is kept, to convert it again when the rate changes."""

    id: int
    source: Waveform
    loop: Loop | None
    offset: int = 0
    frames: int = 0
    loop_start: int = 0
    period: float = 0.0
    users: int = 0
    """Number of voices that play it, or will."""
    streamed: bool = False
    """Its frames are written while it is played, and lost when the rate changes."""
    unloaded: bool = field(default=False, repr=False)


def prepare(source: Waveform, sample_rate: int, loop: Loop | None) -> tuple[Samples, int, float]:
    """Convert a sound to what the mixer plays; surround is folded down.

    The last frames of a loop are crossfaded with its first ones. Jumping from the end back to the
    loop start is then a crossfade, and the first pass begins unchanged.

    Returns:
        Samples [frames, 2] at ``sample_rate``, the loop start and the period in frames.

    Raises:
        InvalidRequest: it is empty or holds samples that are not numbers.
    """
    if not source.frames or not np.isfinite(source.samples).all():
        raise InvalidRequest("the sound is empty or holds samples that are not numbers")
    folded = source.as_channels(min(CHANNELS, source.channels))
    samples = folded.resample(sample_rate).as_channels(CHANNELS).samples
    if loop is None:
        return np.ascontiguousarray(samples), 0, 0.0
    return _looped(samples, sample_rate, loop)


def _looped(samples: Samples, sample_rate: int, loop: Loop) -> tuple[Samples, int, float]:
    frames = samples.shape[0]
    seam = min(round(loop.seam_s * sample_rate), frames // 2)
    if loop.period_s is None:
        period = float(frames - seam)
    else:
        period = loop.period_s * sample_rate
        missing = seam + round(period) - frames
        if 0 < missing <= _WRAP_S * sample_rate:
            samples = np.concatenate([samples, samples[:missing]])
            frames = samples.shape[0]
        seam = max(0, min(seam, frames - round(period)))
    length = min(frames, seam + round(period))
    looped = np.array(samples[:length])
    if seam:
        angle = (np.arange(seam, dtype=np.float32)[:, None] + 0.5) * (np.pi / 2 / seam)
        looped[-seam:] = looped[-seam:] * np.cos(angle) + samples[:seam] * np.sin(angle)
    if length < seam + round(period):
        return looped, seam, period  # the rest of the period is silent
    # One frame more: the passes of a fractional period differ by one frame.
    return np.concatenate([looped, samples[seam : seam + 1]]), seam, period


class ClipStore:
    """Allocates the sample store of the arena.

    Args:
        arena: holds the store.
        sample_rate: of the device in Hz.
    """

    def __init__(self, arena: Arena, sample_rate: int) -> None:
        self._arena = arena
        self._ids = itertools.count(1)
        self._clips: dict[int, LoadedClip] = {}
        self.reserved = int(arena.gauges[Gauge.STORE_USED]) if arena.adopted else 0
        """Frames at the start that voices of a program that has gone may be playing."""
        self._holes = [(self.reserved, arena.store.shape[0] - self.reserved)]
        self.sample_rate = sample_rate

    def __len__(self) -> int:
        return len(self._clips)

    @property
    def free_frames(self) -> int:
        """Frames that are free."""
        return sum(frames for _, frames in self._holes)

    async def load(self, source: Waveform, loop: Loop | None = None) -> LoadedClip:
        """Convert ``source`` (in a thread) and place it in the store.

        Raises:
            InvalidRequest: it is empty or holds samples that are not numbers.
            TooLarge: the store is full.
        """
        clip = LoadedClip(next(self._ids), source, loop)
        self._clips[clip.id] = clip
        try:
            await self._convert(clip)
        except BaseException:
            del self._clips[clip.id]
            raise
        return clip

    def reserve(self, frames: int) -> LoadedClip:
        """A loop of ``frames`` frames of silence, to be written while it is played.

        Raises:
            TooLarge: the store is full.
        """
        silence = Waveform(np.zeros((0, CHANNELS), np.float32), self.sample_rate)
        clip = LoadedClip(next(self._ids), silence, Loop(), streamed=True)
        self._place(clip, np.zeros((frames, CHANNELS), np.float32), 0, float(frames))
        self._clips[clip.id] = clip
        return clip

    def check_room(self, seconds: float) -> None:
        """Refuse a sound for which there is no room, before it is decoded.

        Raises:
            TooLarge: the store is full.
        """
        frames = round(seconds * self.sample_rate)
        if all(room < frames for _, room in self._holes):
            raise self._full(frames)

    def unload(self, clip: LoadedClip) -> None:
        """Free a clip as soon as no voice plays it."""
        clip.unloaded = True
        self._free_if_unused(clip)

    def acquire(self, clip: LoadedClip) -> None:
        """Note that a voice plays the clip."""
        clip.users += 1

    def release(self, clip: LoadedClip) -> None:
        """Note that a voice has ended, and free the clip if it was the last one."""
        clip.users -= 1
        self._free_if_unused(clip)

    def free_reserved(self) -> None:
        """What a program that has gone was playing is over."""
        reserved, self.reserved = self.reserved, 0
        if reserved:
            self._free(0, reserved)

    async def convert(self, sample_rate: int) -> None:
        """Convert all clips to another rate; only while nothing plays."""
        self.sample_rate = sample_rate
        self.reserved = 0
        self._holes = [(0, self._arena.store.shape[0])]
        self._clips = {n: clip for n, clip in self._clips.items() if not clip.streamed}
        clips = tuple(self._clips.values())
        for clip in clips:
            clip.frames = 0
        for clip in clips:
            try:
                await self._convert(clip)
            except TooLarge as error:
                log.warning("a sound is silent at %d Hz: %s", sample_rate, error)

    async def _convert(self, clip: LoadedClip) -> None:
        """Convert a clip to the current rate, even if that changes meanwhile."""
        rate = 0
        while rate != self.sample_rate:
            rate = self.sample_rate
            prepared = await asyncio.to_thread(prepare, clip.source, rate, clip.loop)
        if clip.id in self._clips and not clip.frames:
            self._place(clip, *prepared)

    def _free_if_unused(self, clip: LoadedClip) -> None:
        if clip.unloaded and clip.users <= 0 and clip.id in self._clips:
            del self._clips[clip.id]
            if clip.frames:
                self._free(clip.offset, clip.frames)

    def _place(self, clip: LoadedClip, samples: Samples, loop_start: int, period: float) -> None:
        clip.loop_start, clip.period = loop_start, period
        clip.offset = self._find_room(samples.shape[0])
        clip.frames = samples.shape[0]
        self._arena.store[clip.offset : clip.offset + clip.frames] = samples

    def _find_room(self, frames: int) -> int:
        for index, (at, room) in enumerate(self._holes):
            if room >= frames:
                left = [(at + frames, room - frames)] if room > frames else []
                self._holes[index : index + 1] = left
                self._note_used()
                return at
        raise self._full(frames)

    def _full(self, frames: int) -> TooLarge:
        return TooLarge(
            f"no room for {frames / self.sample_rate:.0f} s of sound in memory "
            f"({self.free_frames / self.sample_rate:.0f} s free, in pieces); unload some takes"
        )

    def _free(self, at: int, frames: int) -> None:
        holes = sorted([*self._holes, (at, frames)])
        merged = [holes[0]]
        for start, room in holes[1:]:
            last, width = merged[-1]
            if last + width == start:
                merged[-1] = (last, width + room)
            else:
                merged.append((start, room))
        self._holes = merged
        self._note_used()

    def _note_used(self) -> None:
        """Say in the arena where the used part of the store ends."""
        end = self._arena.store.shape[0]
        last_at, last_room = self._holes[-1] if self._holes else (end, 0)
        self._arena.gauges[Gauge.STORE_USED] = last_at if last_at + last_room == end else end
