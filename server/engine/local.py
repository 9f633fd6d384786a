"""Engines of one model: on this machine, in a worker process."""

from __future__ import annotations

from pathlib import Path

from server.engine.engine import EngineStatus
from server.engine.job_engine import JobEngine
from server.engine.pool import MakeExecutors, Pool, worker_executors
from server.errors import EngineUnavailable
from server.jobs.book import JobBook
from server.jobs.job import Job, JobState
from server.jobs.journal import Journal
from server.jobs.submission import Submission
from server.model.manifest import Manifest
from server.worker.renderer import NewRenderer

__all__ = ["LocalEngine", "OneModelEngine"]


class OneModelEngine(JobEngine):
    """Renders with one model, which is loaded as long as the engine is up."""

    def __init__(self, manifest: Manifest, book: JobBook, make_executors: MakeExecutors) -> None:
        super().__init__(book)
        self._manifest = manifest
        self._digest = manifest.digest
        self._pool = Pool(book, book.queue(), self.supervisor, make_executors)
        self._accepting = False

    @property
    def manifest(self) -> Manifest:
        """The model in use."""
        return self._manifest

    async def start(self) -> None:
        """Take up what the journal holds and load the model.

        Raises:
            ModelError, EngineUnavailable: the model cannot be loaded.
            Conflict: another process holds the journal.
        """
        try:
            await self._book.restore()
            self._accepting = True
            await self._pool.start()
        except BaseException:
            await self.close()
            raise

    async def drain(self, timeout_s: float) -> None:
        """Refuse new jobs and begin none; return when the running ones are finished, or in time."""
        self._accepting = False
        await self._pool.drain(timeout_s)

    async def close(self) -> None:
        """Stop the renderer. Unfinished jobs stay in the journal; without one they fail."""
        self._accepting = False
        await self._pool.stop()
        await self.supervisor.close()
        await self._book.close()

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; see :meth:`server.engine.engine.Engine.cancel`."""
        if job_id in self._book.queue():
            await self._book.end(job_id, JobState.CANCELLED)
        else:
            await self._pool.cancel(job_id)
        return self._book[job_id]

    def status(self) -> EngineStatus:
        """How the engine is."""
        return EngineStatus(
            state=self._pool.state,
            model=self._manifest.name,
            model_digest=self._digest,
            providers=self._pool.providers,
            queued=self._book.num_waiting,
            running=self._pool.num_running,
            restarts=self._pool.restarts,
            details=self._details(**self._pool.details),
        )

    async def _accept(self, submission: Submission) -> Job:
        if not self._accepting:
            raise EngineUnavailable("the engine is not running or about to stop")
        job = await self._book.accept(submission, self._manifest)
        await self._pool.feed()
        return job


class LocalEngine(OneModelEngine):
    """Renders in an isolated worker process.

    Args:
        model: the model folder.
        takes_folder: where takes go.
        device: where the worker renders; ``auto`` finds the best.
        threads: CPU threads of the worker; 0 for what fits.
        max_queued: jobs that may wait.
        step_timeout_s: the longest a worker with jobs may be silent before it counts as hung.
        joining: False where jobs never share a unet call.
        journal: where jobs outlive this process; the engine closes it.
        new_renderer: starts something else in the place of a worker process.

    Raises:
        ModelError: the folder is no model folder.
    """

    def __init__(
        self,
        model: Path,
        takes_folder: Path,
        *,
        device: str = "auto",
        threads: int = 0,
        max_queued: int = 256,
        step_timeout_s: float = 120.0,
        joining: bool = True,
        journal: Journal | None = None,
        new_renderer: NewRenderer | None = None,
    ) -> None:
        manifest = Manifest.load(model)
        executors = worker_executors(
            model,
            manifest,
            (device,),
            threads=threads,
            joining=joining,
            step_timeout_s=step_timeout_s,
            new_renderer=new_renderer,
        )
        book = JobBook(takes_folder, journal=journal, max_queued=max_queued)
        super().__init__(manifest, book, executors)
