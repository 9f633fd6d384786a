"""The jobs that a program knows, with the request ids by which their owners name them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from server.errors import NotFound
from server.jobs.job import Job

__all__ = ["REMEMBERED", "Remembered"]

REMEMBERED: Final = 2000
"""Finished jobs beyond this many are forgotten, oldest first."""


class Remembered:
    """Jobs by id, oldest first."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._by_request: dict[tuple[str, str], str] = {}

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

    def put(self, job: Job) -> None:
        """A new job, or a new snapshot of one."""
        self._jobs[job.id] = job
        if job.request_id:
            self._by_request[job.owner, job.request_id] = job.id

    def forget_oldest(self) -> None:
        """Make room for another job."""
        for job in self if len(self._jobs) >= REMEMBERED else ():
            if job.state.final:
                del self._jobs[job.id]
                self._by_request.pop((job.owner, job.request_id), None)
                return
