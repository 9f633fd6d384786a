"""Several models behind one engine: each job goes to its model, which is loaded when needed.

All jobs are in one book, with a queue for each model. A model that is loaded has a renderer on
each device, and those take jobs from its queue; the jobs of a model that is not loaded wait there.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from server.audio.fence.pool import DECODERS
from server.engine.additions import Additions
from server.engine.effort import effort_of
from server.engine.engine import Engine, EngineStatus, ModelInfo
from server.engine.fleet_model import FleetModel, MakeExecutors, worker_executors
from server.engine.loader import Loader
from server.engine.model_names import named_folders, unused_name, url_name
from server.errors import AudioLDMError, Conflict, EngineUnavailable, InvalidRequest, NotFound
from server.jobs.acceptance import NO_LIMITS, Limits
from server.jobs.book import JobBook
from server.jobs.job import Effort, Job, JobState
from server.jobs.journal import Journal
from server.jobs.submission import Submission
from server.model.manifest import Manifest
from server.model.memory import default_budget
from server.requests.request import AnyRequest, Vary
from server.store.plan import AddRequest

__all__ = ["Fleet"]

_STATES: Final = ("ready", "restarting", "starting")


class Fleet(Engine):
    """Renders with all models of ``folders``.

    Args:
        folders: the first is the default, which renders what names no model.
        devices: where each model has a worker.
        budget_bytes: what models may take of each device's memory together; 0 for a share of it.
        threads: CPU threads of a worker; 0 for what fits.
        max_queued: jobs that may wait.
        limits: what jobs may cost.
        step_timeout_s: the longest a worker with jobs may be silent before it counts as hung.
        journal: where jobs outlive this process; the engine closes it.
        make_executors: makes what renders, if not worker processes.
        stays_loaded: models are not unloaded, and their memory is not counted.
        models_folder: where models are added; None: nowhere.

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
        limits: Limits = NO_LIMITS,
        step_timeout_s: float = 120.0,
        journal: Journal | None = None,
        make_executors: MakeExecutors | None = None,
        stays_loaded: bool = False,
        models_folder: Path | None = None,
    ) -> None:
        named = named_folders(folders)
        default = next(iter(named))
        book = JobBook(
            takes_folder,
            journal=journal,
            max_queued=max_queued,
            limits=limits,
            measure=self._effort_of,
            # Jobs of earlier versions name no model.
            model_of=lambda job: job.request.model or default,
        )
        super().__init__(book)
        make = make_executors or worker_executors(devices, threads, step_timeout_s)
        self._make_model = partial(
            FleetModel, devices=devices, make_executors=make, book=book, supervisor=self.supervisor
        )
        self._models = {name: self._make_model(name, folder) for name, folder in named.items()}
        self._default = self._models[default]
        self._default.is_default = True
        self._stays_loaded = stays_loaded
        self._state = "down"
        self._loader = Loader(
            tuple(self._models.values()),
            sys.maxsize if stays_loaded else budget_bytes or default_budget(),
            book,
            self.supervisor,
            self._model_listeners,
        )
        self._additions = (
            Additions(models_folder, self._model_listeners, self._added) if models_folder else None
        )
        book.listeners.add(self._changed)

    @property
    def manifest(self) -> Manifest:
        """The default model."""
        return self._default.manifest

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes that loaded models take of each device, and may take; 0 where nobody counts."""
        if self._stays_loaded:
            return 0, 0
        return self._loader.used_bytes, self._loader.budget_bytes

    async def start(self) -> None:
        """Take up what the journal holds and load the default model."""
        self._state = "starting"
        try:
            await self._book.restore()
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
        await asyncio.gather(*(model.drain(timeout_s) for model in self._models.values()))

    async def close(self) -> None:
        """Stop all workers. Unfinished jobs stay in the journal; without one they fail."""
        self._state = "down"
        if self._additions:
            self._additions.close()
        await self._loader.close()
        await self.supervisor.close()
        await self._book.close()

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; see :meth:`server.engine.engine.Engine.cancel`."""
        model = self._model_of(self._book[job_id])
        if job_id in model.queue:
            await self._book.end(job_id, JobState.CANCELLED)
        else:
            await model.cancel(job_id)
        return self._book[job_id]

    def status(self) -> EngineStatus:
        """How the engine is: that of the default model, and all jobs."""
        executors = [e for model in self._models.values() for e in model.executors]
        details = next((e.details for e in executors if e.details), {})
        return EngineStatus(
            state=self._state_of({executor.state for executor in executors}),
            model=self.manifest.name,
            model_digest=self._default.digest,
            providers=tuple(dict.fromkeys(p for e in executors for p in e.providers)),
            queued=self._book.num_waiting,
            running=sum(executor.num_jobs for executor in executors),
            restarts=sum(e.restarts for e in executors) + self._loader.restarts,
            notice=self._book.notice,
            details=self._details(**details),
        )

    def models(self) -> list[ModelInfo]:
        """All models, the default first; then those that are being added."""
        adding = self._additions.infos if self._additions else []
        return [*(model.info for model in self._models.values()), *adding]

    async def add_model(self, request: AddRequest) -> ModelInfo:
        """Begin to add a model; see :meth:`server.engine.engine.Engine.add_model`."""
        if self._additions is None:
            return await super().add_model(request)
        self._check_up()
        return await self._additions.add(request)

    def _added(self, folder: Path) -> None:
        manifest = Manifest.load(folder)
        for model in self._models.values():
            if model.digest == manifest.digest:
                raise Conflict(
                    f"{folder.name} is the same model as {model.name}, which is here; "
                    f"delete it: audioldm-server model remove {folder.name}"
                )
        name = unused_name(url_name(manifest), self._models)
        self._models[name] = self._make_model(name, folder)
        self._loader.add(self._models[name])

    async def load_model(self, name: str) -> ModelInfo:
        """Begin to load a model; see :meth:`server.engine.engine.Engine.load_model`."""
        model = self._changeable(name)
        self._check_up()
        self._loader.check(model)
        self._loader.want(model)
        return model.info

    async def unload_model(self, name: str) -> ModelInfo:
        """Free a model's memory; see :meth:`server.engine.engine.Engine.unload_model`."""
        model = self._changeable(name)
        if jobs := model.queue.num_unfinished:
            raise Conflict(f"model {model.name!r} has {jobs} unfinished jobs; cancel them or wait")
        if model.state == "loading":
            raise Conflict(f"model {model.name!r} is being loaded; wait until it is")
        if model.state == "loaded":
            await self._loader.unload(model)
        return model.info

    async def _accept(self, submission: Submission) -> Job:
        self._check_up()
        model = await self._model_for(submission.request)
        self._loader.check(model)
        job = await self._book.accept(submission.with_model(model.name), model.manifest)
        if model.executors:
            model.used_s = time.monotonic()
            await model.feed()
        else:
            self._loader.look()
        return job

    def _addressed(self, request: AnyRequest) -> AnyRequest:
        """A model may be named by its digest too; a recipe is kept without what is no part of it.

        Raises:
            NotFound: the model is not here.
            InvalidRequest: the recipe is none.
        """
        if isinstance(request, Vary) and request.recipe is not None:
            request = _with_plain_recipe(request)
        if not request.model:
            return request
        return msgspec.structs.replace(request, model=self._model_named(request.model).name)

    async def _model_for(self, request: AnyRequest) -> FleetModel:
        """The model that the request names, else the one that made its take, else the default."""
        if request.model:
            return self._model_named(request.model)
        if isinstance(request, Vary):
            digest = await _digest_of(request)
            for model in self._models.values():
                if model.digest == digest:
                    return model
        return self._default

    def _changeable(self, name: str) -> FleetModel:
        """The model of that name, where models are loaded and unloaded."""
        if self._stays_loaded:
            raise InvalidRequest("this engine has one model, which stays loaded")
        return self._model_named(name)

    def _model_named(self, name: str) -> FleetModel:
        for model in self._models.values():
            if name in (model.name, model.digest):
                return model
        raise NotFound(f"no model {name[:100]!r}; there are {', '.join(self._models)}")

    def _model_of(self, job: Job) -> FleetModel:
        """The model of a job; the default for a finished one whose model is gone."""
        return self._models.get(job.request.model, self._default)

    def _manifest_of(self, job: Job) -> Manifest:
        return self._model_of(job).manifest

    async def _effort_of(self, job: Job) -> Effort:
        return await effort_of(job.request, self._manifest_of(job))

    def _changed(self, job: Job) -> None:
        """A model that has finished its last job may make room for another."""
        if job.state.final:
            self._loader.look()

    async def _end_orphans(self) -> None:
        """Fail the jobs of the last run whose model is not here any more."""
        for job in self._book:
            name = job.request.model
            if not job.state.final and name and name not in self._models:
                gone = f"model {name!r} is not here any more; start with it and ask again"
                await self._book.fail(job.id, NotFound(gone))

    def _check_up(self) -> None:
        if self._state not in ("starting", "up"):
            raise EngineUnavailable("the engine is not running or about to stop")

    def _state_of(self, states: set[str]) -> str:
        if self._state == "down":
            return "down"
        if self._loader.has_failed:
            return "restarting"
        # Without any model in memory it is ready too: the next job loads its model.
        idle = "ready" if self._state == "up" else self._state
        return next((state for state in _STATES if state in states), idle)


def _with_plain_recipe(request: Vary) -> Vary:
    from server.render.recipe import Recipe  # brings numpy, which the server else does without

    recipe = Recipe.of_values(request.recipe or {})
    return msgspec.structs.replace(request, recipe=msgspec.to_builtins(recipe))


async def _digest_of(request: Vary) -> str:
    """The model that made the take to be varied; empty where that cannot be read."""
    if request.recipe is not None:
        return str(request.recipe.get("model_digest", ""))
    from server.render.recipe import Recipe  # brings numpy, which the server else does without

    try:
        facts = await DECODERS.facts(Path(request.clip))
        return Recipe.parse(facts.recipe, request.clip).model_digest
    except AudioLDMError:
        return ""  # the job says what is wrong with the clip
