"""The engine as everybody sees it: submit, cancel, listen. Local here, remote over HTTP.

All methods are called on one asyncio loop; listeners are called on it too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from server.errors import InvalidRequest
from server.jobs.acceptance import Limits
from server.jobs.book import JobBook
from server.jobs.cost import CostModel
from server.jobs.job import Job
from server.jobs.journal import Journal
from server.jobs.submission import Submission
from server.listeners import Listeners, Unlisten
from server.model.manifest import Manifest
from server.requests.request import AnyRequest
from server.store.plan import AddRequest
from server.supervision import Supervisor

__all__ = ["Engine", "EngineStatus", "ModelInfo"]


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
    notice: str = ""
    """What is wrong with the journal: what was damaged, where it is now, what is lost."""
    details: dict[str, Any] = {}


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model and how it stands."""

    name: str
    """What jobs name it by."""
    state: str
    """adding, unloaded, waiting (for room in memory), loading, loaded, unloading or failed."""
    default: bool = False
    """It renders the jobs that name no model."""
    memory_bytes: int = 0
    """What it takes of the budget of each device, estimated."""
    devices: tuple[str, ...] = ()
    """Where its workers run, one each; those it would run on where it is not loaded."""
    providers: tuple[str, ...] = ()
    licence: str = ""
    sample_rate: int = 0
    digest: str = ""
    """The identity that takes carry in their recipe."""
    jobs: int = 0
    """Its jobs that are not finished."""
    load_s: float = 0.0
    """How long loading took the last time; 0 where it was not loaded yet."""
    error: str = ""
    """Why it could not be added or loaded."""
    stage: str = ""
    """asking, downloading, checking or converting while it is added; else loading, or nothing."""
    done_bytes: int = 0
    total_bytes: int = 0
    left_s: float = 0.0
    """How far the stage is, and the seconds left; 0 while nobody knows."""


class Engine(ABC):
    """Renders requests; ``book`` keeps the life of their jobs.

    What takes the id of a job raises NotFound where there is no such job.
    """

    def __init__(self, book: JobBook) -> None:
        self.supervisor = Supervisor()
        """The engine's long-lived tasks; others may be added, and end with the engine."""
        self._book = book
        self._model_listeners = Listeners[ModelInfo]("models")

    @property
    @abstractmethod
    def manifest(self) -> Manifest:
        """The model in use; of several, the default."""

    @abstractmethod
    async def start(self) -> None:
        """Come up; returns when the first request can be rendered.

        Raises:
            ModelError: the model folder cannot be used.
            Conflict: another process holds the journal.
        """

    @abstractmethod
    async def close(self) -> None:
        """Finish: queued jobs are kept or failed, nothing is left running."""

    @abstractmethod
    async def cancel(self, job_id: str) -> Job:
        """Stop a job at its next denoising step; a finished job is returned as it is."""

    @abstractmethod
    def status(self) -> EngineStatus:
        """How the engine is."""

    @abstractmethod
    def models(self) -> list[ModelInfo]:
        """All models, the default first."""

    @abstractmethod
    async def load_model(self, name: str) -> ModelInfo:
        """Begin to load a model; ``listen_models`` and ``models`` show what comes of it.

        Raises:
            InvalidRequest: the engine has one model, which stays loaded.
            NotFound, TooLarge: there is no such model, or it can never fit into the memory.
        """

    @abstractmethod
    async def unload_model(self, name: str) -> ModelInfo:
        """Free a model's memory; the next job for it loads it again.

        Raises:
            InvalidRequest: the engine has one model, which stays loaded.
            NotFound, Conflict: there is no such model, or it has jobs that are not finished.
        """

    async def add_model(self, request: AddRequest) -> ModelInfo:
        """Begin to add a model; ``listen_models`` and ``models`` show how far it is.

        Raises:
            InvalidRequest: this engine has no folder of models, or the request names files.
            Forbidden, Conflict, StorageFull, NotFound, EngineUnavailable: it cannot be added.
        """
        raise InvalidRequest(
            f"models are not added to this engine while it runs (asked for {request.source!r}); "
            "stop it and run: audioldm-server model add NAME"
        )

    @abstractmethod
    async def _accept(self, submission: Submission) -> Job:
        """Make a job of a submission that was not made into one before."""

    async def submit(
        self,
        request: AnyRequest,
        *,
        owner: str = "",
        request_id: str = "",
        folder: Path | None = None,
        temporary: bool = False,
    ) -> Job:
        """Accept a request; its takes will appear in ``folder`` (default: the engine's own).

        The same ``request_id`` from the same ``owner`` returns the job it made before. A
        ``temporary`` job is not kept over a restart, and its takes enter no library.

        Raises:
            InvalidRequest, NotFound, TooLarge, QueueFull, Conflict, StorageFull, EngineUnavailable.
        """
        takes_folder = folder or self._book.takes_folder
        wanted = self._addressed(request)
        submission = Submission(wanted, owner, request_id, takes_folder, temporary)
        return await self._book.submit(submission, self._accept, self._manifest_of)

    def job(self, job_id: str) -> Job:
        """The newest snapshot of a job."""
        return self._book[job_id]

    async def ended(self, job_id: str) -> Job:
        """The job when it is final."""
        return await self._book.ended(job_id)

    def jobs(self) -> list[Job]:
        """All remembered jobs, oldest first."""
        return list(self._book)

    def listen(self, listener: Callable[[Job], None]) -> Unlisten:
        """Call ``listener`` with a snapshot at every change of any job."""
        return self._book.listeners.add(listener)

    @property
    def journal(self) -> Journal | None:
        """Where jobs and takes are written down; None where they are not."""
        return self._book.journal

    @property
    def notice(self) -> str:
        """What is wrong with the journal; empty while it is whole."""
        return self._book.notice

    @property
    def limits(self) -> Limits:
        """What jobs may cost."""
        return self._book.acceptance.limits

    @property
    def cost(self) -> CostModel:
        """How fast this engine renders, as measured."""
        return self._book.cost

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes that loaded models take of each device, and may take; 0 where nobody counts."""
        return 0, 0

    def listen_models(self, listener: Callable[[ModelInfo], None]) -> Unlisten:
        """Call ``listener`` at every change of any model's state."""
        return self._model_listeners.add(listener)

    def _addressed(self, request: AnyRequest) -> AnyRequest:
        """``request`` with the model that it names under its usual name."""
        return request

    def _manifest_of(self, job: Job) -> Manifest:
        """The model that renders ``job``."""
        return self.manifest

    def _details(self, **details: Any) -> dict[str, Any]:
        """What the status shows besides: ``details``, and tasks that have failed."""
        failures = self.supervisor.failures
        return {**details, "failing": failures} if failures else details
