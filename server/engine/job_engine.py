"""What all engines share: jobs in a book, one model, supervised tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NoReturn

from server.engine.engine import EngineStatus, Listener
from server.engine.models import ModelInfo, ModelListener
from server.errors import InvalidRequest
from server.jobs.book import JobBook
from server.jobs.cost import CostModel
from server.jobs.job import Job
from server.jobs.journal import Journal
from server.jobs.submission import Submission
from server.listeners import Listeners, Unlisten
from server.model.manifest import Manifest
from server.requests.request import AnyRequest
from server.supervision import Supervisor

__all__ = ["JobEngine"]


class JobEngine(ABC):
    """An :class:`~server.engine.engine.Engine` over ``book``.

    A kind of engine says how it accepts a submission, and how a job that is not waiting is
    cancelled. One with several models overrides what is said of models here.
    """

    def __init__(self, book: JobBook) -> None:
        self.supervisor = Supervisor()
        self._book = book
        self._model_listeners = Listeners[ModelInfo]("models")

    @property
    @abstractmethod
    def manifest(self) -> Manifest:
        """The model in use; of several, the default."""

    @abstractmethod
    def status(self) -> EngineStatus:
        """How the engine is."""

    @abstractmethod
    async def _accept(self, submission: Submission) -> Job:
        """Make a job of a submission that was not made into one before."""

    @property
    def journal(self) -> Journal | None:
        """Where jobs and takes are written down; None where they are not."""
        return self._book.journal

    @property
    def cost(self) -> CostModel:
        """How fast this engine renders, as measured."""
        return self._book.cost

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes that loaded models take of each device, and may take; 0 where nobody counts."""
        return 0, 0

    async def submit(
        self,
        request: AnyRequest,
        *,
        owner: str = "",
        request_id: str = "",
        folder: Path | None = None,
    ) -> Job:
        """Accept a request; see :meth:`server.engine.engine.Engine.submit`."""
        takes_folder = folder or self._book.takes_folder
        submission = Submission(self._addressed(request), owner, request_id, takes_folder)
        return await self._book.submit(submission, self._accept, self._manifest_of)

    def job(self, job_id: str) -> Job:
        """The newest snapshot of a job; NotFound where there is none."""
        return self._book[job_id]

    def jobs(self) -> list[Job]:
        """All remembered jobs, oldest first."""
        return list(self._book)

    def listen(self, listener: Listener) -> Unlisten:
        """Call ``listener`` with a snapshot at every change of any job."""
        return self._book.listeners.add(listener)

    def models(self) -> list[ModelInfo]:
        """The one model."""
        manifest, status = self.manifest, self.status()
        return [
            ModelInfo(
                name=manifest.name,
                state="loaded" if status.state == "ready" else "loading",
                default=True,
                providers=status.providers,
                licence=manifest.licence,
                sample_rate=manifest.sample_rate,
                digest=manifest.digest,
                jobs=status.queued + status.running,
            )
        ]

    async def load_model(self, name: str) -> ModelInfo:
        """Refused: the one model is loaded."""
        self._refuse()

    async def unload_model(self, name: str) -> ModelInfo:
        """Refused: the one model stays loaded."""
        self._refuse()

    def listen_models(self, listener: ModelListener) -> Unlisten:
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

    def _refuse(self) -> NoReturn:
        raise InvalidRequest("this engine has one model, which stays loaded")
