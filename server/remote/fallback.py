"""The local engine that renders while the server cannot be reached."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from server.engine.engine import Engine
from server.errors import EngineUnavailable
from server.jobs.book import JobBook
from server.jobs.job import Job
from server.jobs.submission import Submission
from server.model.manifest import Manifest

__all__ = ["Fallback"]

log = logging.getLogger("audioldm.remote")


class Fallback:
    """Made and started when it is first needed; its jobs are shown in ``book``.

    Args:
        book: of the remote engine.
        make: makes the engine; None where there is none.
    """

    def __init__(self, book: JobBook, make: Callable[[], Engine] | None) -> None:
        self._book = book
        self._make = make
        self._engine: Engine | None = None
        self._lock = asyncio.Lock()
        self._ids: set[str] = set()

    def __bool__(self) -> bool:
        """Whether there can be one."""
        return self._make is not None

    def __contains__(self, job_id: str) -> bool:
        """Whether it renders the job."""
        return job_id in self._ids

    @property
    def manifest(self) -> Manifest | None:
        """Its default model; None before it was started."""
        return self._engine.manifest if self._engine else None

    async def start(self) -> Engine:
        """The engine, which is up.

        Raises:
            EngineUnavailable: there is none.
            ModelError: it cannot load its model.
        """
        async with self._lock:
            if self._engine is None:
                if self._make is None:
                    raise EngineUnavailable("there is no local engine to render meanwhile")
                engine = self._make()
                engine.listen(self._follow)
                await engine.start()
                self._engine = engine
        return self._engine

    async def close(self) -> None:
        """Stop it where it was started."""
        if self._engine is not None:
            await self._engine.close()

    async def submit(self, submission: Submission) -> Job:
        """Render here what was meant for the server, with the default model where it must be."""
        engine, request = await self.start(), submission.request
        known = {model.name for model in engine.models()}
        if request.model and request.model not in known:
            log.warning("model %s is not here; rendering with %s", request.model, min(known))
            request = msgspec.structs.replace(request, model="")
        return await engine.submit(
            request,
            owner=submission.owner,
            request_id=submission.request_id,
            folder=submission.folder,
        )

    async def cancel(self, job_id: str) -> Job:
        """Stop a job that it renders."""
        return await (await self.start()).cancel(job_id)

    def _follow(self, job: Job) -> None:
        if job.id in self._ids:
            self._book.put(job)
        else:
            self._ids.add(job.id)
            self._book.add(job)
