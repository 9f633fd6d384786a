"""The engine as everybody sees it: submit, cancel, listen. Local here, remote over HTTP.

All methods are called on one asyncio loop; listeners are called on it too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from server.engine.models import ModelInfo, ModelListener
from server.jobs.cost import CostModel
from server.jobs.job import Job
from server.jobs.journal import Journal
from server.listeners import Unlisten
from server.model.manifest import Manifest
from server.requests.request import AnyRequest
from server.supervision import Supervisor

__all__ = ["Engine", "EngineStatus", "Listener"]

Listener = Callable[[Job], None]


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
    """Renders requests, on each device in the order of :mod:`server.jobs.queue`."""

    @property
    def manifest(self) -> Manifest:
        """The model in use; of several, the default."""

    @property
    def journal(self) -> Journal | None:
        """Where jobs and takes are written down; None where they are not."""

    @property
    def cost(self) -> CostModel:
        """How fast this engine renders, as measured."""

    @property
    def supervisor(self) -> Supervisor:
        """The engine's long-lived tasks; others may be added, and end with the engine."""

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes that loaded models take of each device, and may take; 0 where nobody counts."""

    async def start(self) -> None:
        """Come up; returns when the first request can be rendered.

        Raises:
            ModelError: the model folder cannot be used.
            Conflict: another process holds the journal.
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
            InvalidRequest, NotFound, TooLarge, QueueFull, Conflict, StorageFull, EngineUnavailable.
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

    def models(self) -> list[ModelInfo]:
        """All models, the default first."""

    async def load_model(self, name: str) -> ModelInfo:
        """Begin to load a model; ``listen_models`` and ``models`` show what comes of it.

        Raises:
            InvalidRequest: this engine has one model, which stays loaded.
            NotFound: no such model.
            TooLarge: it can never fit into the memory budget.
        """

    async def unload_model(self, name: str) -> ModelInfo:
        """Free a model's memory; the next job for it loads it again.

        Raises:
            InvalidRequest: this engine has one model, which stays loaded.
            NotFound: no such model.
            Conflict: it has jobs that are not finished.
        """

    def listen_models(self, listener: ModelListener) -> Unlisten:
        """Call ``listener`` at every change of any model's state."""
