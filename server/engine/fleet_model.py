"""One model of a fleet: its folder and its queue, and its renderers while it is loaded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from server.engine.models import ModelInfo
from server.engine.pool import MakeExecutors, Pool, worker_executors
from server.jobs.book import JobBook
from server.model.manifest import Manifest
from server.model.memory import memory_needed
from server.supervision import Supervisor

__all__ = ["FleetModel"]

DRAIN_S: float = 600.0
"""A job that runs longer than this when another model needs its room starts again later."""


class FleetModel:
    """A model folder; loaded it has a renderer on each of ``devices``.

    Args:
        name: what jobs name it by.
        folder: the model folder.
        devices: where it is loaded.
        book: where the life of its jobs is kept.
        supervisor: restarts its renderers.
        threads, step_timeout_s: see :func:`~server.engine.pool.worker_executors`.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        devices: Sequence[str],
        book: JobBook,
        supervisor: Supervisor,
        *,
        threads: int,
        step_timeout_s: float,
    ) -> None:
        self.name = name
        self.manifest = Manifest.load(folder)
        self.digest = self.manifest.digest
        self.memory_bytes = memory_needed(self.manifest)
        self.queue = book.queue(name)
        self.state = "unloaded"
        self.error = ""
        self.wanted = False
        """Somebody asked for it, though no job needs it yet."""
        self.used_s = 0.0
        """When it was used last, or began to wait (time.monotonic)."""
        self.pool: Pool | None = None
        """Its renderers, also while they start and stop."""
        self._devices = tuple(devices)
        self._book = book
        self._supervisor = supervisor
        self._make_executors: MakeExecutors = worker_executors(
            folder, self.manifest, devices, threads=threads, step_timeout_s=step_timeout_s
        )
        self._load_s = 0.0

    @property
    def busy(self) -> bool:
        """True while it is loaded and has something to do."""
        return self.pool is not None and bool(self.queue.num_unfinished)

    async def load(self) -> None:
        """Start a renderer on each device; they take the jobs that wait.

        Raises:
            ModelError: the model cannot be loaded; nothing is left running.
        """
        started_s = time.monotonic()
        self.pool = Pool(self._book, self.queue, self._supervisor, self._make_executors)
        try:
            await self.pool.start()
        except BaseException:
            self.pool = None
            raise
        self._load_s = time.monotonic() - started_s

    async def stop(self, *, drain: bool = False) -> None:
        """Stop the renderers; with ``drain``, when they have finished what they are rendering."""
        if self.pool is not None:
            if drain:
                await self.pool.drain(DRAIN_S)
            await self.pool.stop()
            self.pool = None

    def info(self, *, default: bool) -> ModelInfo:
        """How it stands."""
        return ModelInfo(
            name=self.name,
            state=self.state,
            default=default,
            memory_bytes=self.memory_bytes,
            devices=self._devices,
            providers=self.pool.providers if self.pool else (),
            licence=self.manifest.licence,
            sample_rate=self.manifest.sample_rate,
            digest=self.digest,
            jobs=self.queue.num_unfinished,
            load_s=round(self._load_s, 2),
            error=self.error,
        )
