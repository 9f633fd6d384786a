"""The engine as everybody sees it: submit, cancel, listen. Local here, remote over HTTP.

All methods are called on one asyncio loop; listeners are called on it too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from server.jobs.job import Job
from server.model.manifest import Manifest
from server.requests.request import AnyRequest

__all__ = ["Engine", "EngineStatus", "Listener", "Unlisten"]

Listener = Callable[[Job], None]
Unlisten = Callable[[], None]


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine says of itself."""

    state: str
    """starting, ready, restarting or down."""
    model: str = ""
    model_digest: str = ""
    providers: tuple[str, ...] = ()
    queued: int = 0
    running: int = 0
    restarts: int = 0
    details: dict[str, Any] = {}


class Engine(Protocol):
    """Renders requests, one after the other on each device."""

    @property
    def manifest(self) -> Manifest:
        """The model in use."""

    async def start(self) -> None:
        """Come up; returns when the first request can be rendered.

        Raises:
            ModelError: the model folder cannot be used.
        """

    async def close(self) -> None:
        """Finish: queued jobs are kept or failed, nothing is left running."""

    async def submit(
        self,
        request: AnyRequest,
        *,
        owner: str = "",
        request_id: str = "",
        folder: Path | None = None,
    ) -> Job:
        """Accept a request; its takes will appear in ``folder`` (default: the engine's own).

        The same ``request_id`` from the same ``owner`` returns the job it made before.

        Raises:
            InvalidRequest, QueueFull, Conflict, Forbidden, EngineUnavailable.
        """

    async def cancel(self, job_id: str) -> Job:
        """Stop a job at its next denoising step; a finished job is returned as it is.

        Raises:
            NotFound: no such job.
        """

    def job(self, job_id: str) -> Job:
        """The newest snapshot of a job.

        Raises:
            NotFound: no such job.
        """

    def jobs(self) -> list[Job]:
        """All known jobs, oldest first."""

    def listen(self, listener: Listener) -> Unlisten:
        """Call ``listener`` with a snapshot at every change of any job."""

    def status(self) -> EngineStatus:
        """How the engine is."""
