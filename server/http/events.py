"""Events of jobs and models for one HTTP client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from server.engine.engine import Engine, ModelInfo
from server.http.access import Caller
from server.jobs.job import Job, JobState

__all__ = ["EventFeed", "visible"]

_KEEP_ALIVE_S: Final = 15.0


class EventFeed:
    """Events for one client: the newest snapshot of each job and model that it has not received.

    A slow client skips snapshots, so that its backlog is at most one for each job.
    """

    def __init__(self, engine: Engine, client: Caller, job_id: str = "") -> None:
        self.client = client
        self._job_id = job_id
        self._news = asyncio.Event()
        self._sent: dict[str, Job] = {}
        # A new client first receives the current state of all jobs.
        self._pending: dict[str, Job | ModelInfo] = {
            job.id: job
            for job in engine.jobs()
            if self._concerns(job) and (job_id or not job.state.final)
        }
        self._unlisten = [engine.listen(self._add_job)]
        if not job_id:
            self._unlisten.append(engine.listen_models(self._add_model))

    async def follow(
        self, closing: asyncio.Event, gone: asyncio.Task[None] | None = None
    ) -> AsyncIterator[tuple[str, Job | ModelInfo | None]]:
        """Yield event names with their job or model, until ``closing`` or ``gone``.

        Yields None every 15 s without events, to keep the connection alive.
        """
        while not closing.is_set() and not (gone and gone.done()):
            pending, self._pending = self._pending, {}
            for subject in pending.values():
                if isinstance(subject, ModelInfo):
                    yield "model", subject
                    continue
                for event in self._events(subject):
                    yield event, subject
                if subject.id == self._job_id and subject.state.final:
                    return
            if not await self._wait(closing, gone) and not closing.is_set():
                yield "", None

    def close(self) -> None:
        """Stop listening."""
        for unlisten in self._unlisten:
            unlisten()

    async def _wait(self, closing: asyncio.Event, gone: asyncio.Task[None] | None) -> bool:
        """Wait for an event, or for the end; False after 15 s without either."""
        if self._pending:
            return True
        self._news.clear()
        waits = [asyncio.create_task(e.wait()) for e in (self._news, closing)]
        try:
            done, _ = await asyncio.wait(
                [*waits, *([gone] if gone else [])],
                timeout=_KEEP_ALIVE_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            return bool(done)
        finally:
            for wait in waits:
                wait.cancel()

    def _add_job(self, job: Job) -> None:
        if self._concerns(job):
            self._pending[job.id] = job
            self._news.set()

    def _add_model(self, info: ModelInfo) -> None:
        self._pending[f"model {info.name}"] = info
        self._news.set()

    def _concerns(self, job: Job) -> bool:
        return visible(job, self.client) and self._job_id in ("", job.id)

    def _events(self, job: Job) -> list[str]:
        """Names of the events since the last snapshot that this client received."""
        before = self._sent.pop(job.id, None)
        if not job.state.final:
            self._sent[job.id] = job
        previewed = job.preview is not None and (before is None or before.preview != job.preview)
        names = ["preview"] if previewed else []
        if before is None or before.state is not job.state:
            return [job.state.value, *names]
        if previewed and before.step == job.step:
            return names
        return ["progress" if job.state is JobState.RUNNING else job.state.value, *names]


def visible(job: Job, client: Caller) -> bool:
    """Whether ``client`` may see ``job``."""
    return client.sees_all or job.owner == client.name
