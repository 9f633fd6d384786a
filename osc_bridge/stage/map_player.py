"""Plays the map of the sample library: the sound nearest to a place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import msgspec

from osc_bridge.stage.stage import Stage
from server.errors import AudioLDMError, NotFound
from server.sample_library.library import SampleLibrary
from server.sample_library.sample import Sample

__all__ = ["MapPlayer", "MapVoice", "Place"]

log = logging.getLogger("audioldm.stage.map")

_GROUP: Final = 3000
"""Choke group of the map: one sound at a time."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where to play, and how."""

    x: float = 0.5
    y: float = 0.5
    gain_db: float = 0.0
    quantise: str = "none"
    again: bool = False
    """Also the sound that was played last."""
    panic_count: int = 0


class MapVoice(msgspec.Struct, frozen=True):
    """What a place plays."""

    sample: Sample
    voice: int
    frame: int


class MapPlayer:
    """Plays places one after the other; those that come meanwhile are passed over, but the last."""

    def __init__(self, stage: Stage, library: SampleLibrary) -> None:
        self._stage = stage
        self._library = library
        self._wanted: tuple[Place, Callable[[MapVoice | AudioLDMError], None]] | None = None
        self._task: asyncio.Task[None] | None = None
        self._row = -1
        self.place = Place()
        """The last one."""

    async def close(self) -> None:
        """Play no further places."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def go(self, place: Place, answer: Callable[[MapVoice | AudioLDMError], None]) -> None:
        """Play what is nearest to ``place``; ``answer`` is told what plays, or why nothing does."""
        self.place = place
        self._wanted = place, answer
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._play_wanted())

    async def _play_wanted(self) -> None:
        while self._wanted is not None:
            place, answer = self._wanted
            self._wanted = None
            try:
                if (playing := await self._play(place)) is not None:
                    answer(playing)
            except AudioLDMError as error:
                answer(error)
            except Exception:
                log.exception("the map cannot be played")

    async def _play(self, place: Place) -> MapVoice | None:
        layout = await self._library.layout()
        row = layout.nearest(place.x, place.y)
        if row < 0:
            raise NotFound("the sample library is empty; /ldm/library/add adds a folder")
        if row == self._row and not place.again:
            return None
        sample = await self._library.sample(row)
        voice, frame = await self._stage.play(
            sample.path,
            gain_db=place.gain_db,
            loop=sample.about.character == "loop",
            quantise=place.quantise,
            choke=_GROUP,
            panic_count=place.panic_count,
        )
        self._row = row  # only now: what could not be played may be asked for again
        return MapVoice(sample, voice, frame)
