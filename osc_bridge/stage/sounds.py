"""Files that clients play: short ones and loops from memory, long ones while they are decoded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final
from weakref import WeakSet

from osc_bridge.audio.clips import LoadedClip, Loop
from osc_bridge.audio.player import Player
from osc_bridge.stage.long_sound import LongSound
from server.audio.fence.pool import DECODERS
from server.audio.fence.reading import read_stereo

__all__ = ["LONG_S", "Playing", "Sounds"]

LONG_S: Final = 20.0
"""A sound that is longer is not loaded as a whole, unless it is looped."""


class Playing:
    """A sound that is about to be played, and what is left to do with it."""

    def __init__(
        self, clip: LoadedClip, *, looped: bool, long: LongSound | None, unload: Callable[[], None]
    ) -> None:
        self.clip = clip
        self.looped = looped
        self._long = long
        self._unload = unload

    def started(self, voice: int) -> None:
        """A voice plays it."""
        if self._long is not None:
            self._long.voice = voice
        else:
            self._unload()

    def close(self) -> None:
        """The voice has ended, or there will be none."""
        if self._long is not None:
            self._long.close()
        else:
            self._unload()


class Sounds:
    """Loads the files that ``player`` plays."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._loading = asyncio.Lock()
        self._long: WeakSet[LongSound] = WeakSet()

    async def close(self) -> None:
        """Return when nothing is decoded any more."""
        for long in tuple(self._long):
            await long.finish()

    async def load(self, path: Path, *, loop: bool) -> Playing:
        """The sound in a file, ready to be started.

        Raises:
            UnreadableAudio: the file is not audio, or damaged.
            TooLarge: the memory for sounds is full.
            QueueFull: many long sounds are playing.
        """
        facts = await DECODERS.facts(path)
        if facts.seconds > LONG_S and not loop:
            long = LongSound(self._player, path)
            self._long.add(long)
            try:
                await long.start()
            except BaseException:
                long.close()
                raise
            return Playing(long.clip, looped=True, long=long, unload=lambda: None)
        # One at a time, for each takes its room when it is decoded.
        async with self._loading:
            self._player.clips.check_room(facts.seconds)
            waveform = await read_stereo(path, facts, self._player.sample_rate)
            clip = await self._player.load(waveform, Loop() if loop else None)
        unload = lambda: self._player.unload(clip)  # noqa: E731
        return Playing(clip, looped=loop, long=None, unload=unload)
