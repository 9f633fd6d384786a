"""One model of a fleet: its folder, and its engines while it is loaded."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from server.engine.local import LocalEngine
from server.engine.model_host import ModelInfo
from server.errors import NotFound
from server.jobs.job import Job
from server.jobs.journal import Journal
from server.model.manifest import Manifest
from server.model.memory import memory_needed

__all__ = ["FleetModel", "JournalShare"]

DRAIN_S: float = 600.0
"""A job that runs longer than this when another model needs its room starts again later."""


class JournalShare(Journal):
    """What one engine sees of the fleet's journal: the jobs that are its own.

    The fleet opens and closes the file; ``jobs`` is asked once, when the engine starts.
    """

    def __init__(self, whole: Journal | None, jobs: Callable[[], list[Job]]) -> None:
        super().__init__(whole.path if whole else Path())
        self._whole = whole
        self._jobs = jobs

    def load(self) -> list[Job]:
        """The jobs that waited for this engine."""
        return self._jobs()

    async def record(self, job: Job) -> None:
        """Returns when ``job`` is on disk.

        Raises:
            StorageFull: it could not be written.
        """
        if self._whole is not None:
            await self._whole.record(job)

    def close(self) -> None:
        """Nothing: the journal stays open for the others."""


class FleetModel:
    """A model folder; loaded it has an engine on each of ``devices``.

    ``new_engine`` makes an engine with the given journal on the given device.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        devices: tuple[str, ...],
        new_engine: Callable[[Path, str, Journal], LocalEngine],
    ) -> None:
        self.name = name
        self.folder = folder
        self.manifest = Manifest.load(folder)
        self.digest = self.manifest.digest
        self.memory_bytes = memory_needed(self.manifest)
        self.state = "unloaded"
        self.error = ""
        self.wanted = False
        """Somebody asked for it, though no job needs it yet."""
        self.used_s = 0.0
        """When it was used last, or began to wait (time.monotonic)."""
        self.engines: list[LocalEngine] = []
        """Also while they are about to stop; :attr:`open` says whether they take jobs."""
        self.open: list[LocalEngine] = []
        self._devices = devices
        self._new_engine = new_engine
        self._load_s = 0.0
        self._closing: asyncio.Future[list[None]] | None = None

    @property
    def busy(self) -> bool:
        """True while one of its engines has something to do."""
        return any(s.queued or s.running for s in (e.status() for e in self.engines))

    def least_busy(self) -> LocalEngine:
        """The engine that the next job goes to."""

        def load(engine: LocalEngine) -> int:
            status = engine.status()
            # An engine whose worker died needs a while before it goes on.
            return status.queued + status.running + 2 * (status.state != "ready")

        return min(self.open, key=load)

    def engine_of(self, job_id: str) -> LocalEngine | None:
        """The engine that has the job; None where it waits for the model."""
        for engine in self.engines:
            with contextlib.suppress(NotFound):
                engine.job(job_id)
                return engine
        return None

    async def load(
        self,
        whole: Journal | None,
        waiting: Callable[[], Iterable[Job]],
        mirror: Callable[[Job], None],
    ) -> None:
        """Start an engine on each device; those take up what is ``waiting`` and then new jobs.

        Raises:
            ModelError: the model cannot be loaded; nothing is left running.
        """
        started_s = time.monotonic()
        dealt: list[list[Job]] = []

        def share_of(k: int) -> list[Job]:
            # All waiting jobs are dealt out when the first engine asks; from then on new jobs
            # go to the engines that are open, so that none is left between.
            if not dealt:
                jobs = list(waiting())
                dealt.extend(jobs[i :: len(self._devices)] for i in range(len(self._devices)))
            self.open.append(self.engines[k])
            return dealt[k]

        self.engines = [
            self._new_engine(self.folder, device, JournalShare(whole, partial(share_of, k)))
            for k, device in enumerate(self._devices)
        ]
        for engine in self.engines:
            engine.listen(mirror)
        starts = [asyncio.create_task(engine.start()) for engine in self.engines]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            self.open = []
            for start in starts:
                start.cancel()
            ended = await asyncio.gather(*starts, return_exceptions=True)
            # An engine that could not start has closed itself.
            started = zip(self.engines, ended, strict=True)
            self.engines = [engine for engine, failure in started if failure is None]
            await self.stop(drain=False)
            raise
        self._load_s = time.monotonic() - started_s

    async def stop(self, *, drain: bool) -> None:
        """Stop the engines; with ``drain``, when they have finished what they are rendering."""
        self.open = []
        if drain:
            await asyncio.gather(*(engine.drain(DRAIN_S) for engine in self.engines))
        if self._closing is None:
            self._closing = asyncio.gather(*(engine.close() for engine in self.engines))
        # Closed once and wholly, whoever asks for it and gives up on the way.
        await asyncio.shield(self._closing)
        self.engines, self._closing = [], None

    def info(self, *, default: bool, jobs: int) -> ModelInfo:
        """How it stands."""
        providers = (p for engine in self.engines for p in engine.status().providers)
        return ModelInfo(
            name=self.name,
            state=self.state,
            default=default,
            memory_bytes=self.memory_bytes,
            devices=self._devices,
            providers=tuple(dict.fromkeys(providers)),
            licence=self.manifest.licence,
            sample_rate=self.manifest.sample_rate,
            digest=self.digest,
            jobs=jobs,
            load_s=round(self._load_s, 2),
            error=self.error,
        )
