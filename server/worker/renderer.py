"""What renders: a worker process, replicas in a cluster, or nothing but memory.

A renderer takes several jobs at a time and reports on all of them as they go on. Whoever uses it
decides with :mod:`server.engine.admission` how many it gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Protocol

from server.worker.protocol import Cancel, FromWorker, Ready, Render, ToWorker

__all__ = ["RENDERER_GONE", "MemoryRenderer", "NewRenderer", "Renderer"]

RENDERER_GONE: Final = (asyncio.IncompleteReadError, ConnectionError, TimeoutError)
"""What :meth:`Renderer.receive` raises when the renderer has died, or is silent for too long."""


class Renderer(Protocol):
    """Renders jobs with one model."""

    @property
    def ready(self) -> Ready:
        """What it said of itself when the model was loaded."""

    @property
    def details(self) -> dict[str, Any]:
        """What the engine's status shows of it."""

    async def send(self, command: ToWorker) -> None:
        """Hand over a job, or cancel one; a renderer that is gone is noticed by :meth:`receive`."""

    async def receive(self) -> FromWorker:
        """The next event of any job.

        Raises:
            asyncio.IncompleteReadError, ConnectionError: the renderer is gone.
        """


NewRenderer = Callable[[], AbstractAsyncContextManager[Renderer]]
"""Starts a renderer, which is stopped at the end of the block.

Raises:
    ModelError: the model cannot be loaded.
    OSError, asyncio.IncompleteReadError: it died before it was ready.
"""


class MemoryRenderer:
    """A renderer without a model: its jobs go on when :meth:`report` says so.

    It stands in where the way of jobs matters and their sound does not.
    """

    def __init__(self, ready: Ready) -> None:
        self.ready = ready
        self.details: dict[str, Any] = {}
        self.jobs: list[str] = []
        """Ids of the jobs it was given."""
        self.cancelled: list[str] = []
        self._events: asyncio.Queue[FromWorker | Exception] = asyncio.Queue()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[MemoryRenderer]:
        """Itself, as :data:`NewRenderer` gives one."""
        yield self

    def report(self, *events: FromWorker | Exception) -> None:
        """What :meth:`receive` gives next; an exception is the end of the renderer."""
        for event in events:
            self._events.put_nowait(event)

    async def send(self, command: ToWorker) -> None:
        """Note a command."""
        match command:
            case Render(job_id):
                self.jobs.append(job_id)
            case Cancel(job_id):
                self.cancelled.append(job_id)

    async def receive(self) -> FromWorker:
        """The next event that was reported."""
        event = await self._events.get()
        if isinstance(event, Exception):
            raise event
        return event
