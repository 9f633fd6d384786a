"""Strings the chunks of a stream together, always one step ahead of what is heard.

What comes next is decided shortly before the chunk that sounds is over: the next one where it
is ready, else an earlier one from another place. A chunk that nothing follows repeats by itself
in the audio process, so nothing is silent even if this process hangs or dies.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from osc_bridge.audio.player import Player
from osc_bridge.stage.stream.chunks import Chunk
from osc_bridge.stage.stream.report import StreamSettings

__all__ = ["LEAD_S", "Conductor"]

POLL_S: Final = 0.01
LEAD_S: Final = 0.25
"""What comes next is decided this long before it sounds."""
_REMEMBERED: Final = 4


@dataclass(frozen=True)
class _Segment:
    """A chunk being heard: from ``begin``, to be followed at the latest at ``end``."""

    chunk: Chunk
    voice: int
    begin: int
    end: int
    skip: int


class Conductor:
    """Plays chunks one after the other, for ever.

    Args:
        player: where they sound.
        settings: crossfades and level.
        draw: randomness for recombining.
        follows: called when a chunk begins to sound; True where it stands in for a new one.
    """

    def __init__(
        self,
        player: Player,
        settings: StreamSettings,
        draw: random.Random,
        follows: Callable[[Chunk, bool], None],
    ) -> None:
        self.wanted = asyncio.Event()
        """Set when the next chunk should be made."""
        self._player = player
        self._settings = settings
        self._draw = draw
        self._follows = follows
        self._fresh: Chunk | None = None
        self._history: deque[Chunk] = deque(maxlen=_REMEMBERED)
        self._segment: _Segment | None = None

    def offer(self, chunk: Chunk) -> None:
        """The next chunk is ready; one that has not been used yet gives way."""
        if self._fresh is not None:
            self._player.unload(self._fresh.clip)
        self._fresh = chunk

    def set_gain(self, gain_db: float, settings: StreamSettings) -> None:
        """Level of what sounds and of what follows."""
        self._settings = settings
        if self._segment:
            self._player.set_gain(self._segment.voice, gain_db)

    def stop(self, fade_s: float) -> None:
        """Fade out and forget all chunks."""
        if self._segment:
            self._player.stop(self._segment.voice, fade_s=fade_s)
        for chunk in {*self._history, *([self._fresh] if self._fresh else [])}:
            self._player.unload(chunk.clip)
        self._history.clear()
        self._fresh = self._segment = None

    async def conduct(self) -> None:
        """Never returns."""
        while True:
            await asyncio.sleep(POLL_S)
            segment, fresh = self._segment, self._fresh
            if segment is None or not self._player.is_playing(segment.voice):
                if fresh or self._history:
                    self._begin()
                continue
            lead = round(LEAD_S * self._player.sample_rate)
            if fresh and fresh.urgent:
                self._follow(self._take_fresh(), self._player.frame_now() + lead // 4)
            elif self._player.frame_now() >= self._takeover(segment, fresh) - lead:
                if fresh:
                    self._follow(self._take_fresh(), self._takeover(segment, fresh))
                else:
                    self._recombine(self._takeover(segment, None))

    def _takeover(self, segment: _Segment, fresh: Chunk | None) -> int:
        """The frame at which ``fresh`` (or an old chunk) takes over."""
        if fresh and fresh.joins is segment.chunk:
            return segment.begin - segment.skip + fresh.join_from
        return segment.end - self._fade_frames()

    def _fade_frames(self) -> int:
        return round(self._settings.crossfade_s * self._player.sample_rate)

    def _take_fresh(self) -> Chunk:
        chunk, self._fresh = self._fresh, None
        assert chunk is not None
        if len(self._history) == self._history.maxlen:
            self._player.unload(self._history[0].clip)
        self._history.append(chunk)
        self.wanted.set()
        return chunk

    def _begin(self) -> None:
        """The first chunk, or the first after somebody silenced everything."""
        chunk = self._take_fresh() if self._fresh else self._history[-1]
        begin = self._player.frame_now() + round(0.02 * self._player.sample_rate)
        self._segment = self._sound(chunk, begin, 0, self._fade_frames())
        self._follows(chunk, False)

    def _follow(self, chunk: Chunk, frame: int) -> None:
        """Let ``chunk`` take over at ``frame``."""
        segment = self._segment
        assert segment is not None
        if chunk.joins is segment.chunk and not chunk.urgent:
            fade, skip = 0, chunk.join_at
        else:
            fade = self._fade_for(chunk)
            # What it was to continue is over: leave most of the repeated context out.
            skip = max(0, chunk.join_at - fade)
        self._player.stop(segment.voice, frame, fade / self._player.sample_rate)
        self._segment = self._sound(chunk, frame, skip, fade)
        if chunk.turns:
            self._forget_all_but(chunk)
        self._follows(chunk, False)

    def _forget_all_but(self, chunk: Chunk) -> None:
        """What was made for another prompt is not to come back."""
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
        """Nothing new is ready: an earlier chunk from another place."""
        segment = self._segment
        assert segment is not None
        others = [c for c in self._history if c is not segment.chunk] or [segment.chunk]
        chunk = self._draw.choice(others)
        fade = self._fade_frames()
        skip = self._draw.randrange(max(1, chunk.usable // 2))
        self._player.stop(segment.voice, frame, fade / self._player.sample_rate)
        self._segment = self._sound(chunk, frame, skip, fade)
        self._follows(chunk, True)

    def _sound(self, chunk: Chunk, frame: int, skip: int, fade: int) -> _Segment:
        voice = self._player.start(
            chunk.clip, frame, gain_db=self._settings.gain_db, skip=skip,
            fade_s=fade / self._player.sample_rate,
        )  # fmt: skip
        return _Segment(chunk, voice, frame, frame + chunk.usable - skip, skip)
