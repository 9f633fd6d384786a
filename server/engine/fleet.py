"""Several models behind one engine: each job goes to its model, which is loaded when needed.

Every model has a :class:`LocalEngine` of its own on each device, and so its own worker
processes. A job for a model that is loaded is handed on at once; one for a model that is not
waits here, in the journal, and is taken up by the model's engines as those of the last run are
after a restart.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

import msgspec

from server.engine.engine import EngineStatus, Listener, Unlisten
from server.engine.fleet_jobs import FleetJobs
from server.engine.fleet_model import FleetModel
from server.engine.loader import Loader
from server.engine.local import LocalEngine
from server.engine.model_host import ModelInfo, ModelListener
from server.errors import (
    AudioLDMError,
    Conflict,
    EngineUnavailable,
    NotFound,
    StorageFull,
)
from server.jobs.job import Job, JobState, check_queue, new_job, same_again
from server.jobs.journal import Journal
from server.jobs.storage import remove_parts
from server.model.manifest import Manifest
from server.model.memory import default_budget
from server.requests.request import AnyRequest, Vary

__all__ = ["Fleet"]

log = logging.getLogger("audioldm.fleet")

_STATES: Final = ("ready", "restarting", "starting")


class Fleet:
    """Implements :class:`~server.engine.engine.Engine` and `ModelHost`.

    The first of ``folders`` is the default: it renders what names no model, and is loaded by
    :meth:`start`. ``budget_bytes`` is what models may take of each device's memory together
    (0: a share of the machine's). The fleet closes the ``journal``.

    Raises:
        ModelError: one of the folders is no model folder.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        takes_folder: Path,
        *,
        devices: Sequence[str] = ("auto",),
        budget_bytes: int = 0,
        threads: int = 0,
        max_queued: int = 256,
        step_timeout_s: float = 120.0,
        journal: Journal | None = None,
    ) -> None:
        def new_engine(folder: Path, device: str, share: Journal) -> LocalEngine:
            return LocalEngine(
                folder,
                takes_folder,
                device=device,
                threads=threads,
                max_queued=max_queued,
                step_timeout_s=step_timeout_s,
                journal=share,
            )

        self._models = {
            name: FleetModel(name, folder, tuple(devices), new_engine)
            for name, folder in _named(folders).items()
        }
        self._default = next(iter(self._models.values()))
        self._takes_folder = takes_folder
        self._max_queued = max_queued
        # Jobs of earlier versions name no model.
        self._jobs = FleetJobs(journal, lambda job: job.request.model or self._default.name)
        self._arriving: set[asyncio.Task[Job]] = set()
        self._once: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._state = "down"
        self._loader = Loader(
            tuple(self._models.values()),
            budget_bytes or default_budget(),
            journal,
            unfinished=lambda model: self._jobs.unfinished(model.name),
            mirror=self._mirror,
            left_over=lambda model, error: self._jobs.left_over(model.name, error),
        )

    @property
    def manifest(self) -> Manifest:
        """The default model."""
        return self._default.manifest

    @property
    def journal(self) -> Journal | None:
        """Where jobs and takes are written down."""
        return self._jobs.journal

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes that loaded models take on a device, and the budget."""
        return self._loader.used_bytes, self._loader.budget_bytes

    async def start(self) -> None:
        """Take up what the journal holds and load the default model.

        Raises:
            ModelError: it cannot be loaded.
            TooLarge: the budget is too small for it.
            Conflict: another process holds the journal.
        """
        self._state = "starting"
        try:
            self._jobs.restore()
            # The journal is ours by now, so that no other process is writing takes here.
            await asyncio.to_thread(remove_parts, self._takes_folder)
            await self._end_orphans()
            await self._loader.start()
        except BaseException:
            await self.close()
            raise
        self._state = "up"

    async def drain(self, timeout_s: float) -> None:
        """Refuse new jobs and begin none; return when what runs is finished, or in time."""
        self._state = "draining"
        await self._loader.pause()
        engines = [engine for model in self._models.values() for engine in model.engines]
        await asyncio.gather(*(engine.drain(timeout_s) for engine in engines))

    async def close(self) -> None:
        """Stop all workers. Unfinished jobs stay in the journal; without one they fail."""
        self._state = "down"
        await asyncio.gather(*self._arriving, return_exceptions=True)
        await self._loader.close()
        journal, self._jobs.journal = self._jobs.journal, None
        if journal is not None:
            await asyncio.to_thread(journal.close)
            return
        gone = EngineUnavailable("the engine was shut down before the job was finished")
        for job in self._jobs:
            await self._jobs.end(job, JobState.FAILED, gone)

    async def submit(
        self,
        request: AnyRequest,
        *,
        owner: str = "",
        request_id: str = "",
        folder: Path | None = None,
    ) -> Job:
        """Queue ``request``; see :meth:`server.engine.engine.Engine.submit`.

        Raises:
            NotFound: it names a model that is not here.
            TooLarge: its model can never fit into the memory budget.
        """
        wanted = folder or self._takes_folder
        arrival = asyncio.create_task(self._arrive(request, owner, request_id, wanted))
        self._arriving.add(arrival)
        arrival.add_done_callback(self._arrived)
        # A client that goes away must not leave half a job.
        return await asyncio.shield(arrival)

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; see :meth:`server.engine.engine.Engine.cancel`."""
        job = self._jobs[job_id]
        if not job.state.final:
            self._jobs.will_be_cancelled(job_id)
            engine = self._model_of(job).engine_of(job_id)
            if engine is None:
                await self._jobs.end(job, JobState.CANCELLED)
            else:
                await engine.cancel(job_id)
        return self._jobs[job_id]

    def job(self, job_id: str) -> Job:
        """The newest snapshot of a job.

        Raises:
            NotFound: no such job.
        """
        return self._jobs[job_id]

    def jobs(self) -> list[Job]:
        """All remembered jobs, oldest first."""
        return list(self._jobs)

    def listen(self, listener: Listener) -> Unlisten:
        """Call ``listener`` with a snapshot at every change of any job."""
        return self._jobs.listen(listener)

    def status(self) -> EngineStatus:
        """How the engine is: that of the default model, and all jobs."""
        found = [e.status() for model in self._models.values() for e in model.engines]
        details: dict[str, Any] = next((s.details for s in found if s.details), {})
        return EngineStatus(
            state=self._state_of(found),
            model=self.manifest.name,
            model_digest=self._default.digest,
            providers=tuple(dict.fromkeys(p for s in found for p in s.providers)),
            queued=sum(s.queued for s in found) + self._num_waiting(),
            running=sum(s.running for s in found),
            restarts=sum(s.restarts for s in found) + self._loader.restarts,
            details=details,
        )

    def models(self) -> list[ModelInfo]:
        """All models, the default first."""
        return [self._loader.info(model) for model in self._models.values()]

    async def load_model(self, name: str) -> ModelInfo:
        """Begin to load a model; see :meth:`server.engine.model_host.ModelHost.load_model`."""
        model = self._model_named(name)
        self._check_up()
        self._loader.check(model)
        self._loader.want(model)
        return self._loader.info(model)

    async def unload_model(self, name: str) -> ModelInfo:
        """Free a model's memory; see :meth:`server.engine.model_host.ModelHost.unload_model`."""
        model = self._model_named(name)
        if jobs := len(self._jobs.unfinished(model.name)):
            raise Conflict(f"model {model.name!r} has {jobs} unfinished jobs; cancel them or wait")
        if model.state == "loading":
            raise Conflict(f"model {model.name!r} is being loaded; wait until it is")
        if model.state == "loaded":
            await self._loader.unload(model)
        return self._loader.info(model)

    def listen_models(self, listener: ModelListener) -> Unlisten:
        """Call ``listener`` at every change of any model's state."""
        return self._loader.listen(listener)

    async def _arrive(self, request: AnyRequest, owner: str, request_id: str, folder: Path) -> Job:
        # The same request id at the same time, as datagrams that are sent twice: one makes the
        # job, the other finds it.
        lock = asyncio.Lock()
        if request_id:
            lock = self._once.setdefault((owner, request_id), lock)
        async with lock:
            if request.model:
                request = _for(self._model_named(request.model), request)
            if known := self._jobs.of_request(owner, request_id):
                return same_again(known, request, self._model_of(known).manifest)
            self._check_up()
            model = await self._model_for(request)
            self._loader.check(model)
            request = _for(model, request)
            if model.open:
                model.used_s = time.monotonic()
                engine = model.least_busy()
                try:
                    return await engine.submit(
                        request, owner=owner, request_id=request_id, folder=folder
                    )
                except EngineUnavailable:
                    if engine in model.open:
                        raise
            return await self._wait_for(model, request, owner, request_id, folder)

    async def _wait_for(
        self, model: FleetModel, request: AnyRequest, owner: str, request_id: str, folder: Path
    ) -> Job:
        """A job that the model takes up when it is loaded."""
        check_queue(self._num_waiting(), self._max_queued)
        job = new_job(request, model.manifest, folder, owner=owner, request_id=request_id)
        job = msgspec.structs.replace(job, position=len(self._jobs.unfinished(model.name)))
        self._loader.look()
        try:
            await self._jobs.wait(job)
        except StorageFull:
            await self.cancel(job.id)
            raise
        return self._jobs[job.id]

    def _arrived(self, arrival: asyncio.Task[Job]) -> None:
        self._arriving.discard(arrival)
        if not arrival.cancelled():
            arrival.exception()  # told to the one who asked, if that one is still there

    async def _model_for(self, request: AnyRequest) -> FleetModel:
        """The model that the request names, else the one that made its take, else the default."""
        if request.model:
            return self._model_named(request.model)
        if isinstance(request, Vary):
            digest = await asyncio.to_thread(_digest_of, request)
            for model in self._models.values():
                if model.digest == digest:
                    return model
        return self._default

    def _model_named(self, name: str) -> FleetModel:
        for model in self._models.values():
            if name in (model.name, model.digest):
                return model
        raise NotFound(f"no model {name[:100]!r}; there are {', '.join(self._models)}")

    def _model_of(self, job: Job) -> FleetModel:
        """The model of a job; the default for a finished one whose model is gone."""
        return self._models.get(job.request.model, self._default)

    def _num_waiting(self) -> int:
        """Jobs whose model is not loaded."""
        absent = [model for model in self._models.values() if not model.engines]
        return sum(len(self._jobs.unfinished(model.name)) for model in absent)

    def _mirror(self, job: Job) -> None:
        """An engine has a new snapshot of a job."""
        self._jobs.mirror(job)
        if job.state.final:
            self._loader.look()

    async def _end_orphans(self) -> None:
        """Fail the jobs of the last run whose model is not here any more."""
        for job in self._jobs:
            name = job.request.model
            if not job.state.final and name and name not in self._models:
                error = NotFound(
                    f"model {name!r} is not here any more; start with it and ask again"
                )
                await self._jobs.end(job, JobState.FAILED, error)

    def _check_up(self) -> None:
        if self._state not in ("starting", "up"):
            raise EngineUnavailable("the engine is not running or about to stop")

    def _state_of(self, found: list[EngineStatus]) -> str:
        if self._state == "down":
            return "down"
        states = {status.state for status in found}
        # Without any engine it is ready too: the next job loads its model.
        idle = "ready" if self._state == "up" else self._state
        return next((state for state in _STATES if state in states), idle)


def _named(folders: Sequence[Path]) -> dict[str, Path]:
    """Names that fit into a URL: the manifests' own, numbered where two are alike."""
    named: dict[str, Path] = {}
    digests: set[str] = set()
    for folder in folders:
        manifest = Manifest.load(folder)
        if manifest.digest in digests:
            continue  # the same model once more
        digests.add(manifest.digest)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", manifest.name).strip("-.") or "model"
        number, unique = 1, name
        while unique in named:
            number += 1
            unique = f"{name}-{number}"
        named[unique] = folder
    return named


def _for(model: FleetModel, request: AnyRequest) -> AnyRequest:
    return msgspec.structs.replace(request, model=model.name)


def _digest_of(request: Vary) -> str:
    """The model that made the take to be varied; empty where that cannot be read."""
    if request.recipe is not None:
        return str(request.recipe.get("model_digest", ""))
    from server.render.recipe import Recipe  # brings numpy, which the server else does without

    try:
        return Recipe.read(Path(request.clip)).model_digest
    except (AudioLDMError, OSError):
        return ""  # the job says what is wrong with the clip
