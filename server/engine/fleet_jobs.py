"""The jobs of a fleet: those that its engines have, and those that wait for their model."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

import msgspec

from server.engine.engine import Listener, Unlisten
from server.errors import AudioLDMError, NotFound, StorageFull
from server.jobs.book import JobBook
from server.jobs.job import Job, JobState
from server.jobs.journal import Journal

__all__ = ["FleetJobs"]

log = logging.getLogger("audioldm.fleet")


class FleetJobs:
    """One list over all engines. ``model_of`` names the model that a job belongs to.

    A job that no engine has is written down and ended here; all others are mirrored.
    """

    def __init__(self, journal: Journal | None, model_of: Callable[[Job], str]) -> None:
        self.journal = journal
        self._model_of = model_of
        self._all = JobBook()
        self._cancelled: set[str] = set()

    def __iter__(self) -> Iterator[Job]:
        return iter(self._all)

    def __getitem__(self, job_id: str) -> Job:
        """The newest snapshot.

        Raises:
            NotFound: no such job.
        """
        return self._all[job_id]

    def of_request(self, owner: str, request_id: str) -> Job | None:
        """The job that this owner's ``request_id`` made, if it did."""
        return self._all.of_request(owner, request_id)

    def listen(self, listener: Listener) -> Unlisten:
        """Call ``listener`` at every change; the result ends that."""
        return self._all.listen(listener)

    def restore(self) -> None:
        """Take up what the journal holds.

        Raises:
            Conflict: another process holds it.
        """
        if self.journal is not None:
            self._all.restore(self.journal.load())

    def unfinished(self, model: str) -> list[Job]:
        """The model's jobs that nobody wants to cancel, in the order of their arrival."""
        return [
            job
            for job in self._all
            if not job.state.final
            and job.id not in self._cancelled
            and self._model_of(job) == model
        ]

    async def wait(self, job: Job) -> None:
        """Take up a job whose model is not loaded; returns when it is on disk.

        It is in the list before: the model may be loaded meanwhile, and its engines take up what
        is in the list then.

        Raises:
            StorageFull: it could not be written; the job stays in the list.
        """
        self._all.add(job)
        if self.journal is not None:
            await self.journal.record(job)

    def will_be_cancelled(self, job_id: str) -> None:
        """From now on no engine takes it up."""
        self._cancelled.add(job_id)

    def mirror(self, job: Job) -> None:
        """An engine has a new snapshot of a job."""
        try:
            self._all[job.id]
        except NotFound:
            self._all.add(job)
        else:
            self._all.put(job)
        if job.state.final:
            self._cancelled.discard(job.id)

    async def left_over(self, model: str, failure: AudioLDMError | None) -> None:
        """The model's engines are gone; its jobs wait again, or fail with it."""
        for job in self._all:
            if job.state.final or self._model_of(job) != model:
                continue
            if job.id in self._cancelled:
                await self.end(job, JobState.CANCELLED)
            elif failure is not None:
                await self.end(job, JobState.FAILED, failure)
            elif job.state is not JobState.QUEUED:
                self._all.change(job.id, state=JobState.QUEUED, step=0, preview=None)

    async def end(self, job: Job, state: JobState, error: AudioLDMError | None = None) -> None:
        """The last snapshot of a job that no engine has: written, then told."""
        if job.state.final:
            return
        last = msgspec.structs.replace(
            job,
            state=state,
            error_code=error.code if error else "",
            error=str(error or ""),
            position=0,
            preview=None,
            finished_s=time.time(),
        )
        if self.journal is not None:
            try:
                await self.journal.record(last)
            except StorageFull as full:
                log.warning("job %s is %s, which could not be written: %s", job.id, state, full)
        self._all.put(last)
        self._cancelled.discard(job.id)
