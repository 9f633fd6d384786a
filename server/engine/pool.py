"""One model on all its devices: executors that share a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from server.engine.admission import Admission
from server.engine.executor import Executor, Shared
from server.jobs.book import JobBook
from server.jobs.queue import JobQueue
from server.model.manifest import Manifest
from server.supervision import Supervisor
from server.worker.process import worker_process
from server.worker.renderer import NewRenderer

__all__ = ["MakeExecutors", "Pool", "worker_executors"]

_STATES: Final = ("ready", "restarting", "starting", "down")
"""The best of its executors' states is the pool's."""

MakeExecutors = Callable[[Shared], Sequence[Executor]]


class Pool:
    """Renders the jobs of ``queue``; each goes to the executor that has the fewest.

    Args:
        book: where the life of the jobs is kept.
        queue: the jobs of the model.
        supervisor: restarts what fails.
        make_executors: makes one executor for each device.
    """

    def __init__(
        self,
        book: JobBook,
        queue: JobQueue,
        supervisor: Supervisor,
        make_executors: MakeExecutors,
    ) -> None:
        self._executors = make_executors(Shared(book, queue, supervisor, self.feed))

    @property
    def state(self) -> str:
        """starting, ready, restarting or down."""
        return min((e.state for e in self._executors), key=_STATES.index)

    @property
    def providers(self) -> tuple[str, ...]:
        """ONNX Runtime's execution providers, of all devices."""
        return tuple(dict.fromkeys(p for e in self._executors for p in e.providers))

    @property
    def num_running(self) -> int:
        """Jobs that renderers have."""
        return sum(executor.num_jobs for executor in self._executors)

    @property
    def restarts(self) -> int:
        """Renderers that were lost."""
        return sum(executor.restarts for executor in self._executors)

    @property
    def details(self) -> dict[str, Any]:
        """What the first renderer that is up shows of itself."""
        return next((e.details for e in self._executors if e.details), {})

    async def start(self) -> None:
        """Return when the model is loaded on every device.

        Raises:
            ModelError: it cannot be; nothing is left running.
        """
        starts = [asyncio.create_task(executor.start()) for executor in self._executors]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self.stop()
            raise

    async def drain(self, timeout_s: float) -> None:
        """Begin no job; return when those that run are finished, or in time."""
        await asyncio.gather(*(executor.drain(timeout_s) for executor in self._executors))

    async def stop(self) -> None:
        """Stop all renderers; what they have waits again."""
        await asyncio.gather(*(executor.stop() for executor in self._executors))

    async def feed(self) -> None:
        """Hand out waiting jobs, as many as the executors may have."""
        while await self._hand_out_one():
            pass

    async def cancel(self, job_id: str) -> None:
        """Have the renderer that has the job give it up."""
        for executor in self._executors:
            if executor.has(job_id):
                await executor.cancel(job_id)

    async def _hand_out_one(self) -> bool:
        for executor in sorted(self._executors, key=lambda executor: executor.num_jobs):
            if job := executor.admit():
                await executor.send(job)
                return True
        return False


def worker_executors(
    folder: Path,
    manifest: Manifest,
    devices: Sequence[str],
    *,
    threads: int = 0,
    joining: bool = True,
    step_timeout_s: float = 120.0,
    new_renderer: NewRenderer | None = None,
) -> MakeExecutors:
    """Makes an executor with a worker process for each of ``devices``.

    Args:
        folder: the model folder.
        manifest: the model's own.
        threads: CPU threads of a worker; 0 for what fits.
        joining: False where jobs never share a unet call.
        step_timeout_s: the longest a worker with jobs may be silent before it counts as hung.
        new_renderer: starts something else in the place of a worker process.
    """

    def make(shared: Shared) -> list[Executor]:
        return [
            Executor(
                f"worker of {manifest.name} on {device}",
                shared,
                Admission(manifest, joining=joining),
                new_renderer or partial(worker_process, folder, device, threads),
                timeout_s=step_timeout_s,
            )
            for device in devices
        ]

    return make
