"""The playing side of the stream: starts each chunk before the last one is over.

What comes next is decided shortly before the current chunk ends: the next chunk where it is
ready, else an earlier one from another position. A chunk that nothing follows repeats by itself in
the audio process, so the stream is not silent if this process hangs. If this process dies, the
audio process plays on for ``audio_hold_s``. The next program takes it over, and its first chunk
replaces what was playing.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from osc_bridge.audio.player import Player
from osc_bridge.stage.listening.shape import Shape
from osc_bridge.stage.stream.chunks import Chunk
from osc_bridge.stage.stream.report import StreamSettings

__all__ = ["LEAD_S", "Conductor"]

POLL_S: Final = 0.01
LEAD_S: Final = 0.25
"""What comes next is decided this long before it plays."""
_REMEMBERED: Final = 4


@dataclass(frozen=True)
class _Segment:
    """The chunk that plays: from frame ``begin``, to be followed at the latest at ``end``."""

    chunk: Chunk
    voice: int
    begin: int
    end: int
    skip: int


class Conductor:
    """Plays chunks one after the other.

    Args:
        player: plays them.
        settings: crossfades and level.
        rng: for the positions from which earlier chunks are played.
        started: called when a chunk starts; True where it is an earlier one, played again.
    """

    def __init__(
        self,
        player: Player,
        settings: StreamSettings,
        rng: random.Random,
        started: Callable[[Chunk, bool], None],
    ) -> None:
        self.needs_chunk = asyncio.Event()
        """Set when the next chunk should be rendered."""
        self._player = player
        self._settings = settings
        self._rng = rng
        self._started = started
        self._next: Chunk | None = None
        self._history: deque[Chunk] = deque(maxlen=_REMEMBERED)
        self._segment: _Segment | None = None
        self._shape: Shape | None = None

    def offer(self, chunk: Chunk) -> None:
        """Play ``chunk`` next, in place of one that has not been played yet."""
        if self._next is not None:
            self._player.unload(self._next.clip)
        self._next = chunk

    def set_gain(self, settings: StreamSettings) -> None:
        """Set the level of the current chunk and of those that follow."""
        self._settings = settings
        self._level()

    def keep_below(self, shape: Shape | None) -> None:
        """Keep every chunk below the ceiling of ``shape``, those of before it too."""
        self._shape = shape
        self._level()

    def _level(self) -> None:
        if self._segment:
            self._player.set_gain(self._segment.voice, self._gain_db(self._segment.chunk))

    def _gain_db(self, chunk: Chunk) -> float:
        gain_db = self._settings.gain_db
        return min(gain_db, self._shape.room_db(chunk.clip.source)) if self._shape else gain_db

    def stop(self, fade_s: float) -> None:
        """Fade out and forget all chunks."""
        if self._segment:
            self._player.stop(self._segment.voice, fade_s=fade_s)
        for chunk in {*self._history, *([self._next] if self._next else [])}:
            self._player.unload(chunk.clip)
        self._history.clear()
        self._next = self._segment = None

    async def run(self) -> None:
        """Play chunks; never returns."""
        while True:
            await asyncio.sleep(POLL_S)
            segment, chunk = self._segment, self._next
            if segment is None or not self._player.is_playing(segment.voice):
                if chunk or self._history:
                    self._begin()
                continue
            lead = round(LEAD_S * self._player.sample_rate)
            if chunk and chunk.urgent:
                self._follow(self._take_next(), self._player.frame_now() + lead // 4)
            elif self._player.frame_now() >= self._takeover(segment, chunk) - lead:
                if chunk:
                    self._follow(self._take_next(), self._takeover(segment, chunk))
                else:
                    self._recombine(self._takeover(segment, None))

    def _takeover(self, segment: _Segment, chunk: Chunk | None) -> int:
        """The frame at which ``chunk`` (None: an earlier one) takes over."""
        if chunk and chunk.joins is segment.chunk:
            return segment.begin - segment.skip + chunk.join_from
        return segment.end - self._fade_frames()

    def _fade_frames(self) -> int:
        return round(self._settings.crossfade_s * self._player.sample_rate)

    def _take_next(self) -> Chunk:
        chunk, self._next = self._next, None
        assert chunk is not None
        if len(self._history) == self._history.maxlen:
            self._player.unload(self._history[0].clip)
        self._history.append(chunk)
        self.needs_chunk.set()
        return chunk

    def _begin(self) -> None:
        """Play the first chunk, or the first one after everything was stopped."""
        chunk = self._take_next() if self._next else self._history[-1]
        begin = self._player.frame_now() + round(0.02 * self._player.sample_rate)
        self._player.release_survivors(self._settings.crossfade_s)
        self._segment = self._sound(chunk, begin, 0, self._fade_frames())
        self._started(chunk, False)

    def _follow(self, chunk: Chunk, frame: int) -> None:
        """Let ``chunk`` take over at ``frame``."""
        segment = self._segment
        assert segment is not None
        if chunk.joins is segment.chunk and not chunk.urgent:
            fade, skip = 0, chunk.join_at
        else:
            fade = self._fade_for(chunk)
            # The chunk that it continues is over: leave most of the repeated context out.
            skip = max(0, chunk.join_at - fade)
        self._segment = self._sound(chunk, frame, skip, fade)
        self._player.stop(segment.voice, frame, fade / self._player.sample_rate)
        if chunk.new_prompt:
            self._forget_all_but(chunk)
        self._started(chunk, False)

    def _forget_all_but(self, chunk: Chunk) -> None:
        """Drop the chunks of the prompt before."""
        for old in self._history:
            if old is not chunk:
                self._player.unload(old.clip)
        self._history.clear()
        self._history.append(chunk)

    def _fade_for(self, chunk: Chunk) -> int:
        if not chunk.urgent:
            return self._fade_frames()
        wanted = round(chunk.fade_s * self._player.sample_rate)
        return max(self._fade_frames(), min(wanted, chunk.usable // 2))

    def _recombine(self, frame: int) -> None:
        """Play an earlier chunk from another position, because nothing new is ready."""
        segment = self._segment
        assert segment is not None
        others = [c for c in self._history if c is not segment.chunk] or [segment.chunk]
        chunk = self._rng.choice(others)
        fade = self._fade_frames()
        skip = self._rng.randrange(max(1, chunk.usable // 2))
        self._segment = self._sound(chunk, frame, skip, fade)
        self._player.stop(segment.voice, frame, fade / self._player.sample_rate)
        self._started(chunk, True)

    def _sound(self, chunk: Chunk, frame: int, skip: int, fade: int) -> _Segment:
        voice = self._player.start(
            chunk.clip, frame, gain_db=self._gain_db(chunk), skip=skip,
            fade_s=fade / self._player.sample_rate,
        )  # fmt: skip
        return _Segment(chunk, voice, frame, frame + chunk.usable - skip, skip)
