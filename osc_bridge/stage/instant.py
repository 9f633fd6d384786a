"""Instant, then new: the nearest sound of the library while a take renders, then the take."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from osc_bridge.stage.stage import Stage
from server.errors import AudioLDMError, Cancelled, NotFound
from server.jobs.job import Job
from server.sample_library.library import SampleLibrary
from server.sample_library.query import SampleSearch

__all__ = ["Instants", "Source", "Sounding", "Wanted", "nearest_sound"]

log = logging.getLogger("audioldm.stage.instant")

Source = Literal["library", "generated"]
_LONGEST_S: Final = 60.0
"""Longer sounds of the library are not played in the place of a take."""
_FIRST_GROUP: Final = 4000
_GROUPS: Final = 1000
_FADE_S: Final = 0.1


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to sound."""

    prompt: str
    loop: bool = False
    quantise: str = "bar"
    """Grid on which the take begins."""
    panic_count: int = 0


class Sounding(msgspec.Struct, frozen=True, kw_only=True):
    """What sounds now, or from ``frame`` on."""

    source: Source
    voice: int
    path: Path
    frame: int


async def nearest_sound(library: SampleLibrary, prompt: str) -> Path:
    """The sound of the library that is most like ``prompt``.

    Raises:
        NotFound: the library holds none.
    """
    found = await library.search(SampleSearch(query=prompt, max_s=_LONGEST_S, limit=1))
    if not found:
        raise NotFound(
            "the sample library has no sound of at most 60 s; /ldm/library/add adds some"
        )
    return found[0][0].path


class Instants:
    """Plays sounds of ``library`` on ``stage`` until the takes are there."""

    def __init__(self, stage: Stage, library: SampleLibrary) -> None:
        self._stage = stage
        self._library = library
        self._groups = itertools.cycle(range(_FIRST_GROUP, _FIRST_GROUP + _GROUPS))
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Forget the takes that are waited for."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def begin(
        self, wanted: Wanted, answer: Callable[[Sounding | AudioLDMError], None]
    ) -> asyncio.Future[str]:
        """Play the nearest sound now; the future is to be given the id of the job, or cancelled."""
        accepted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._perform(wanted, accepted, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return accepted

    async def _perform(
        self,
        wanted: Wanted,
        accepted: asyncio.Future[str],
        answer: Callable[[Sounding | AudioLDMError], None],
    ) -> None:
        group, first = next(self._groups), None
        try:
            first = await self._found(wanted, group)
            answer(first)
        except AudioLDMError as error:
            answer(error)
        try:
            job = await self._stage.renders.ended(await accepted)
            answer(await self._changed(job, wanted, group))
        except (AudioLDMError, asyncio.CancelledError) as error:
            if first is not None:
                self._stage.player.stop(first.voice, fade_s=_FADE_S)
            if isinstance(error, Cancelled) or not isinstance(error, AudioLDMError):
                return
            log.info("no take follows the library's sound: %s", error)

    async def _found(self, wanted: Wanted, group: int) -> Sounding:
        path = await nearest_sound(self._library, wanted.prompt)
        return await self._play(path, "library", wanted, "none", group)

    async def _changed(self, job: Job, wanted: Wanted, group: int) -> Sounding:
        return await self._play(job.takes[0].path, "generated", wanted, wanted.quantise, group)

    async def _play(
        self, path: Path, source: Source, wanted: Wanted, quantise: str, group: int
    ) -> Sounding:
        # The choke group ends the one sound where the other begins.
        voice, frame = await self._stage.play(
            path,
            loop=wanted.loop,
            quantise=quantise,
            choke=group,
            panic_count=wanted.panic_count,
        )
        return Sounding(source=source, voice=voice, path=path, frame=frame)
