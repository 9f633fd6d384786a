"""A request on its way to a job; one that is sent twice makes one job."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from server.errors import Conflict
from server.jobs.job import Job
from server.model.manifest import Manifest
from server.requests.request import AnyRequest, validate
from server.requests.resolved import resolve

__all__ = ["Arrivals", "Submission"]

_NEWER: Final = ("bandwidth", "one_shot", "width")
"""Settings, or defaults of them, that jobs of an earlier version do not know."""


class Submission(msgspec.Struct, frozen=True):
    """What a client asks for."""

    request: AnyRequest
    owner: str
    """Who asks; request ids are unique within an owner."""
    request_id: str
    """Empty where the client names none."""
    folder: Path
    """Where the takes are to appear."""
    temporary: bool = False
    """See :attr:`server.jobs.job.Job.temporary`."""

    def with_model(self, name: str) -> Submission:
        """The same request to the model ``name``."""
        request = msgspec.structs.replace(self.request, model=name)
        return msgspec.structs.replace(self, request=request)

    def new_job(self, manifest: Manifest) -> Job:
        """The job that it makes, with every setting filled in.

        Raises:
            InvalidRequest, NotFound: it cannot be rendered.
        """
        resolved = resolve(validate(self.request), manifest)
        return Job(
            id=secrets.token_hex(5),
            request=resolved,
            owner=self.owner,
            request_id=self.request_id,
            folder=self.folder,
            temporary=self.temporary,
            created_s=time.time(),
        )

    def check_same(self, job: Job, manifest: Manifest) -> None:
        """Refuse to take ``job`` for the one that this submission made before.

        Raises:
            Conflict: the submission asks for something else.
        """
        wanted = self.request
        if not wanted.model:
            wanted = msgspec.structs.replace(wanted, model=job.request.model)
        resolved = resolve(wanted, manifest, lambda _: job.request.seed)
        stored = job.request
        if getattr(stored, "bandwidth", "") is None:
            of_old = {name: getattr(stored, name) for name in _NEWER if hasattr(stored, name)}
            resolved = msgspec.structs.replace(resolved, **of_old)
        if resolved != stored:
            raise Conflict(f"request id {job.request_id!r} was used before for another request")


class Arrivals:
    """Submissions that are being made into jobs, one at a time for each request id."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Job]] = set()
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def run(self, submission: Submission, arrive: Callable[[], Awaitable[Job]]) -> Job:
        """What ``arrive`` returns; it runs to its end although its caller is cancelled."""
        task = asyncio.create_task(self._one_at_a_time(submission, arrive))
        self._tasks.add(task)
        task.add_done_callback(self._arrived)
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Return when none is left."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _one_at_a_time(
        self, submission: Submission, arrive: Callable[[], Awaitable[Job]]
    ) -> Job:
        lock = asyncio.Lock()
        if submission.request_id:
            lock = self._locks.setdefault((submission.owner, submission.request_id), lock)
        async with lock:
            return await arrive()

    def _arrived(self, task: asyncio.Task[Job]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # raised where the caller waits, if it still does
