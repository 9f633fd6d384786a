"""One model of a fleet: its queue, and its executors while it is loaded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from server.engine.admission import Admission
from server.engine.engine import ModelInfo
from server.engine.executor import Executor, Shared
from server.jobs.book import JobBook
from server.model.manifest import Manifest
from server.model.memory import memory_needed
from server.supervision import Supervisor
from server.worker.process import worker_process
from server.worker.protocol import Loading
from server.worker.renderer import NewRenderer

__all__ = ["FleetModel", "MakeExecutors", "worker_executors"]

DRAIN_S: float = 600.0
"""A job that runs longer than this when another model needs its room starts again later."""

MakeExecutors = Callable[[Path, Manifest, Shared], Sequence[Executor]]
"""Makes the executors of a model folder, one for each device."""


class FleetModel:
    """The model in ``folder``, which jobs call ``name``; loaded or not.

    Raises:
        ModelError: the folder is no model folder.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        devices: Sequence[str],
        make_executors: MakeExecutors,
        *,
        book: JobBook,
        supervisor: Supervisor,
    ) -> None:
        self.name = name
        self.manifest = Manifest.load(folder)
        self.digest = self.manifest.digest
        self.memory_bytes = memory_needed(self.manifest)
        self.queue = book.queue(name)
        self.is_default = False
        self.state = "unloaded"
        self.error = ""
        self.wanted = False
        """Somebody asked for it, though no job needs it yet."""
        self.used_s = 0.0
        """When it was used last, or began to wait (time.monotonic)."""
        self.executors: Sequence[Executor] = ()
        """Empty while it is not in memory."""
        self._folder = folder
        self._devices = tuple(devices)
        self._shared = Shared(book, self.queue, supervisor, self.feed, self._loads)
        self._make_executors = make_executors
        self._load_s = 0.0
        self._loading = Loading(0, 0)
        self._notify: Callable[[ModelInfo], None] = lambda info: None

    async def load(self, notify: Callable[[ModelInfo], None]) -> None:
        """Start a renderer on each device; they take the jobs that wait.

        ``notify`` is called as loading goes on.

        Raises:
            ModelError: the model cannot be loaded; nothing is left running.
        """
        self._notify = notify
        started_s = time.monotonic()
        self.executors = self._make_executors(self._folder, self.manifest, self._shared)
        starts = [asyncio.create_task(executor.start()) for executor in self.executors]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self.stop()
            raise
        self._load_s = time.monotonic() - started_s
        self._loading = Loading(0, 0)

    async def drain(self, timeout_s: float = DRAIN_S) -> None:
        """Begin no job; return when those that run are finished, or in time."""
        await asyncio.gather(*(executor.drain(timeout_s) for executor in self.executors))

    async def stop(self) -> None:
        """Stop all renderers; what they have waits again."""
        await asyncio.gather(*(executor.stop() for executor in self.executors))
        self.executors = ()

    async def feed(self) -> None:
        """Hand out waiting jobs, each to the executor that has the fewest."""
        while await self._hand_out_one():
            pass

    async def cancel(self, job_id: str) -> None:
        """Have the renderer that has the job give it up."""
        for executor in self.executors:
            if executor.has(job_id):
                await executor.cancel(job_id)

    @property
    def info(self) -> ModelInfo:
        """How it stands."""
        return ModelInfo(
            name=self.name,
            state=self.state,
            default=self.is_default,
            memory_bytes=self.memory_bytes,
            devices=self._devices,
            providers=tuple(dict.fromkeys(p for e in self.executors for p in e.providers)),
            licence=self.manifest.licence,
            sample_rate=self.manifest.sample_rate,
            digest=self.digest,
            jobs=self.queue.num_unfinished,
            load_s=round(self._load_s, 2),
            error=self.error,
            stage="loading" if self.state == "loading" else "",
            done_bytes=self._loading.done_bytes,
            total_bytes=self._loading.total_bytes,
        )

    def _loads(self, event: Loading) -> None:
        """How far a renderer is; one that is started again while the model is loaded is silent."""
        if self.state == "loading":
            self._loading = event
            self._notify(self.info)

    async def _hand_out_one(self) -> bool:
        for executor in sorted(self.executors, key=lambda executor: executor.num_jobs):
            if job := executor.admit():
                await executor.send(job)
                return True
        return False


def worker_executors(
    devices: Sequence[str],
    threads: int,
    step_timeout_s: float,
    *,
    joining: bool = True,
    new_renderer: NewRenderer | None = None,
    cache: Path | None = None,
) -> MakeExecutors:
    """Makes an executor with a worker process, or a ``new_renderer``, for each of ``devices``."""

    def make(folder: Path, manifest: Manifest, shared: Shared) -> list[Executor]:
        return [
            Executor(
                f"worker of {manifest.name} on {device}",
                shared,
                Admission(manifest, joining=joining),
                new_renderer
                or partial(worker_process, folder, device, threads, cache, shared.on_loading),
                timeout_s=step_timeout_s,
            )
            for device in devices
        ]

    return make
