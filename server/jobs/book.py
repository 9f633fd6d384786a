"""The life of every job, from its acceptance to its end.

    accept -> QUEUED -> begin -> RUNNING -> step, preview -> end -> DONE, FAILED or CANCELLED
                 ^------- put_back -----'

Jobs change state here and nowhere else. A job is written to the journal before it is acknowledged,
and its end is written before anybody is notified.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from server.errors import (
    AudioLDMError,
    Conflict,
    EngineUnavailable,
    QueueFull,
    StorageDamaged,
    StorageFull,
)
from server.jobs.acceptance import NO_LIMITS, Acceptance, Limits, Measure, unknown_effort
from server.jobs.cost import CostModel
from server.jobs.job import Job, JobState, Preview
from server.jobs.journal import Journal
from server.jobs.queue import JobQueue
from server.jobs.remembered import Remembered
from server.jobs.storage import preview_path, remove_parts, remove_preview
from server.jobs.submission import Arrivals, Submission
from server.listeners import Listeners
from server.model.manifest import Manifest

__all__ = ["JobBook"]

log = logging.getLogger("audioldm.jobs")


class JobBook:
    """All jobs of an engine, and the queues in which they wait.

    Args:
        takes_folder: where takes and previews go.
        journal: where jobs outlive this process; the book closes it.
        max_queued: jobs that may wait; more are refused.
        limits: what jobs may cost.
        measure: finds out what a job takes.
        model_of: names the model whose queue a job is in.
    """

    def __init__(
        self,
        takes_folder: Path,
        *,
        journal: Journal | None = None,
        max_queued: int = 256,
        limits: Limits = NO_LIMITS,
        measure: Measure = unknown_effort,
        model_of: Callable[[Job], str] = lambda job: "",
    ) -> None:
        self.takes_folder = takes_folder
        self.journal = journal
        self.arrivals = Arrivals()
        self.cost = CostModel()
        self.acceptance = Acceptance(limits, self.cost, measure)
        self.listeners = Listeners[Job]("jobs")
        self.max_queued = max_queued
        self._model_of = model_of
        self._jobs = Remembered()
        self._queues: defaultdict[str, JobQueue] = defaultdict(JobQueue)
        self._being_written = 0
        self._ending: set[str] = set()

    def __iter__(self) -> Iterator[Job]:
        """All jobs, oldest first."""
        return iter(self._jobs)

    def __getitem__(self, job_id: str) -> Job:
        """The newest snapshot.

        Raises:
            NotFound: no such job.
        """
        return self._jobs[job_id]

    @property
    def notice(self) -> str:
        """What everybody should know of the journal; empty while it is whole."""
        return self.journal.notice if self.journal else ""

    @property
    def num_waiting(self) -> int:
        """Jobs in the queues, and those that are about to be."""
        return sum(map(len, self._queues.values())) + self._being_written

    def queue(self, model: str = "") -> JobQueue:
        """The unfinished jobs of a model."""
        return self._queues[model]

    async def restore(self) -> None:
        """Take up what the journal holds, and delete what an earlier run left half written.

        Raises:
            Conflict: another process holds the journal.
        """
        for loaded in self.journal.load() if self.journal else ():
            job = loaded if loaded.state.final else await self.acceptance.taken_up(loaded)
            self._jobs.put(job)
            if not job.state.final:
                self.cost.observe(job)
                self._queue_of(job).append(job)
                self._remove_preview(job)
        if self.num_waiting:
            log.info("%d jobs of the last run go on", self.num_waiting)
        folders = {job.folder for job in self if not job.state.final}
        for folder in {self.takes_folder, *folders} - {Path()}:
            await asyncio.to_thread(remove_parts, folder)

    async def ended(self, job_id: str) -> Job:
        """The job when it is final."""
        changed = asyncio.Event()
        unlisten = self.listeners.add(lambda job: changed.set() if job.id == job_id else None)
        try:
            while not self[job_id].state.final:
                changed.clear()
                await changed.wait()
        finally:
            unlisten()
        return self[job_id]

    async def close(self) -> None:
        """Unfinished jobs stay in the journal; without one they fail."""
        await self.arrivals.finish()
        for job in (job for job in self if not job.state.final):
            self.acceptance.ended(job)
            self._remove_preview(job)
        if self.journal is not None:
            journal, self.journal = self.journal, None
            await asyncio.to_thread(journal.close)
            return
        gone = EngineUnavailable("the engine was shut down before the job was finished")
        for job in self:
            await self.fail(job.id, gone)

    async def submit(
        self,
        submission: Submission,
        accept: Callable[[Submission], Awaitable[Job]],
        manifest_of: Callable[[Job], Manifest],
    ) -> Job:
        """The job that ``accept`` makes, or the one that the same request id made before.

        A client that goes away meanwhile leaves no half job: the acceptance goes on.

        Raises:
            Conflict: the request id was used for another request.
        """

        async def arrive() -> Job:
            known = self._jobs.of_request(submission.owner, submission.request_id)
            if known is None:
                return await accept(submission)
            submission.check_same(known, manifest_of(known))
            return known

        return await self.arrivals.run(submission, arrive)

    async def accept(self, submission: Submission, manifest: Manifest) -> Job:
        """Queue a new job; returns when it is on disk.

        Raises:
            InvalidRequest, NotFound: the request cannot be rendered.
            TooLarge: it costs more than a job may.
            QueueFull: too many jobs wait, or its owner's cost too much.
            StorageFull: there is no room for the job or its takes.
        """
        if self.num_waiting >= self.max_queued:
            raise QueueFull(f"{self.num_waiting} jobs are waiting already; try again later")
        self._being_written += 1
        try:
            job = await self._written(submission.new_job(manifest))
        finally:
            self._being_written -= 1
        queue = self._queue_of(job)
        queue.append(job)
        self.add(msgspec.structs.replace(job, position=dict(queue.positions())[job.id]))
        self._renumber(queue)
        return self[job.id]

    async def _written(self, job: Job) -> Job:
        """The job with its price, on disk."""
        job = await self.acceptance.accepted(job)
        if self.journal is not None and not job.temporary:
            try:
                await self.journal.record(job)
            except BaseException:
                self.acceptance.ended(job)
                raise
        return job

    def add(self, job: Job) -> None:
        """Take up a job that was accepted, here or elsewhere.

        Raises:
            Conflict: the owner's request id is taken.
        """
        if self._jobs.of_request(job.owner, job.request_id):
            raise Conflict(f"request id {job.request_id!r} was used before")
        self._jobs.forget_oldest()
        self._jobs.put(job)
        self._notify(job)

    async def begin(self, job_id: str) -> None:
        """A renderer works on the job from now on."""
        job = self[job_id]
        if job.state is not JobState.QUEUED:
            return
        job = self._change(
            job_id,
            state=JobState.RUNNING,
            position=0,
            attempts=job.attempts + 1,
            started_s=time.time(),
        )
        await self._record(job)
        self._renumber(self._queue_of(job))

    def step(self, job_id: str, done: int, total: int) -> None:
        """``done`` of ``total`` denoising steps are made."""
        job = self[job_id]
        # A step of one group of takes is only a part of a step of the job.
        if (job.step, job.num_steps) != (done, total):
            self._change(job_id, step=done, num_steps=total)

    def preview(self, job_id: str, step: int) -> None:
        """The preview after ``step`` denoising steps is at :func:`preview_path`."""
        path = preview_path(self.takes_folder, job_id)
        self._change(job_id, preview=Preview(step, path))

    def put_back(self, job_ids: Sequence[str], *, blameless: Collection[str] = ()) -> None:
        """Jobs whose renderer was lost are first in line again, in this order.

        The attempt of a ``blameless`` one does not count.
        """
        for job_id in reversed(job_ids):
            job = self[job_id]
            uncounted = job.state is JobState.RUNNING and job_id in blameless
            before = {"state": JobState.QUEUED, "step": 0, "preview": None}
            job = self._change(job_id, **before, attempts=job.attempts - uncounted)
            self._queue_of(job).put_back(job)
        for queue in {self._queue_of(self[job_id]) for job_id in job_ids}:
            self._renumber(queue)

    async def fail(self, job_id: str, error: AudioLDMError) -> None:
        """End a job because of ``error``."""
        await self.end(job_id, JobState.FAILED, error_code=error.code, error=str(error))

    async def end(self, job_id: str, state: JobState, **results: Any) -> None:
        """The last snapshot of a job: written, then sent to the listeners.

        ``results`` are ``takes``, or ``error_code`` and ``error``.
        """
        job = self[job_id]
        if job.state.final or job_id in self._ending:
            return
        queue = self._queue_of(job)
        queue.remove(job_id)
        self._ending.add(job_id)
        ended = {"state": state, "position": 0, "preview": None, "finished_s": time.time()}
        last = msgspec.structs.replace(job, **(ended | results))
        try:
            await self._record(last)
        finally:
            self._ending.discard(job_id)
        self._remove_preview(last)
        self.acceptance.ended(last)
        self.put(last)
        self._renumber(queue)

    def put(self, job: Job) -> Job:
        """``job`` as the new snapshot, as another engine describes it; a final job stays."""
        if self[job.id].state.final:
            return self[job.id]
        self._jobs.put(job)
        self._notify(job)
        return job

    def _change(self, job_id: str, **changes: Any) -> Job:
        return self.put(msgspec.structs.replace(self[job_id], **changes))

    def _notify(self, job: Job) -> None:
        self.cost.observe(job)
        self.listeners.notify(job)

    def _queue_of(self, job: Job) -> JobQueue:
        return self._queues[self._model_of(job)]

    def _renumber(self, queue: JobQueue) -> None:
        for job_id, position in queue.positions():
            if self[job_id].position != position:
                self._change(job_id, position=position)

    async def _record(self, job: Job) -> None:
        """Write a change of an accepted job; on a full disk the job goes on all the same."""
        if self.journal is not None and not job.temporary:
            try:
                await self.journal.record(job)
            except (StorageFull, StorageDamaged) as error:
                log.warning("job %s is %s, which was not written: %s", job.id, job.state, error)

    def _remove_preview(self, job: Job) -> None:
        if job.request.previews:
            remove_preview(self.takes_folder, job.id)
