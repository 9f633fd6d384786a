"""All jobs that are known: their snapshots, who asked for them, and who listens."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from server.engine.engine import Listener, Unlisten
from server.errors import Conflict, NotFound
from server.jobs.job import Job

__all__ = ["JobBook"]

log = logging.getLogger("audioldm.jobs")

REMEMBERED: Final = 2000
"""Finished jobs beyond this many are forgotten, oldest first."""


class JobBook:
    """Snapshots by id; every change makes a new snapshot and tells the listeners."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._by_request: dict[tuple[str, str], str] = {}
        self._listeners: list[Listener] = []

    def __iter__(self) -> Iterator[Job]:
        return iter(tuple(self._jobs.values()))

    def __getitem__(self, job_id: str) -> Job:
        """The newest snapshot.

        Raises:
            NotFound: no such job.
        """
        if job_id not in self._jobs:
            raise NotFound(f"no job {job_id!r}")
        return self._jobs[job_id]

    def of_request(self, owner: str, request_id: str) -> Job | None:
        """The job that this owner's ``request_id`` made, if it did."""
        job_id = self._by_request.get((owner, request_id)) if request_id else None
        return self._jobs[job_id] if job_id else None

    def add(self, job: Job) -> None:
        """Take up a new job.

        Raises:
            Conflict: the owner's request id is taken.
        """
        if self.of_request(job.owner, job.request_id):
            raise Conflict(f"request id {job.request_id!r} was used before")
        self._forget_oldest()
        self._jobs[job.id] = job
        if job.request_id:
            self._by_request[job.owner, job.request_id] = job.id
        self._tell(job)

    def change(self, job_id: str, **changes: Any) -> Job:
        """A new snapshot with ``changes``; a final job stays as it is."""
        return self.put(msgspec.structs.replace(self[job_id], **changes))

    def put(self, job: Job) -> Job:
        """``job`` as the new snapshot; a final job stays as it is."""
        if self[job.id].state.final:
            return self[job.id]
        self._jobs[job.id] = job
        self._tell(job)
        return job

    def restore(self, jobs: Iterable[Job]) -> None:
        """Take up jobs of an earlier run; nobody is told."""
        for job in jobs:
            self._jobs[job.id] = job
            if job.request_id:
                self._by_request[job.owner, job.request_id] = job.id

    def listen(self, listener: Listener) -> Unlisten:
        """Call ``listener`` at every change; the result ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self, job: Job) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(job)
            except Exception:
                log.exception("a listener failed on job %s", job.id)

    def _forget_oldest(self) -> None:
        for job in self if len(self._jobs) >= REMEMBERED else ():
            if job.state.final:
                del self._jobs[job.id]
                self._by_request.pop((job.owner, job.request_id), None)
                return
