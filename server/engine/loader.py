"""Which models of a fleet are in memory: loaded when they are wanted, unloaded for room.

The budget is one device's: every model has one worker on each device. What is wanted is loaded
in the order in which it was asked for. Room is made by the idle model that was used least
recently. Where all are busy, the first in line waits for an idle one, at most ``PATIENCE_S``; then
the least recently used one finishes what it renders, and its other jobs wait until it is loaded
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Sequence

from server.engine.engine import ModelInfo
from server.engine.fleet_model import FleetModel
from server.errors import AudioLDMError, ModelError, TooLarge
from server.jobs.book import JobBook
from server.listeners import Listeners
from server.model.memory import shown
from server.supervision import SupervisedTask, Supervisor

__all__ = ["Loader"]

log = logging.getLogger("audioldm.fleet")

PATIENCE_S: float = 30.0


class Loader:
    """Keeps ``models``, the default first, within ``budget_bytes`` of each device.

    ``listeners`` are called at every change of a model's state, and as loading goes on.
    """

    def __init__(
        self,
        models: Sequence[FleetModel],
        budget_bytes: int,
        book: JobBook,
        supervisor: Supervisor,
        listeners: Listeners[ModelInfo],
    ) -> None:
        self.budget_bytes = budget_bytes
        self.restarts = 0
        """Workers lost by models that are not loaded any more."""
        self._models = list(models)
        self._book = book
        self._supervisor = supervisor
        self._listeners = listeners
        self._wake = asyncio.Event()
        self._task: SupervisedTask | None = None

    @property
    def has_failed(self) -> bool:
        """True while nothing can be loaded or unloaded; it is about to be started again."""
        return self._task is not None and bool(self._task.failure)

    @property
    def used_bytes(self) -> int:
        """What the models take that are loaded."""
        return sum(model.memory_bytes for model in self._models if model.executors)

    async def start(self) -> None:
        """Load the first model; from then on, load what is wanted."""
        self.check(self._models[0])
        await self._load(self._models[0])
        self._task = self._supervisor.add(SupervisedTask("loading of models", self._keep))

    async def close(self) -> None:
        """Unload everything; jobs stay as they are."""
        await self.pause()
        await asyncio.gather(*(model.stop() for model in self._models))
        for model in self._models:
            model.state = "unloaded"

    def add(self, model: FleetModel) -> None:
        """One more model, which is not loaded."""
        self._models.append(model)
        self._listeners.notify(model.info)

    async def pause(self) -> None:
        """Load and unload nothing more."""
        if self._task is not None:
            await self._supervisor.stop(self._task)
            self._task = None

    def look(self) -> None:
        """Something has changed: a model may be wanted, or idle."""
        self._wake.set()

    def check(self, model: FleetModel) -> None:
        """Refuse what can never be loaded.

        Raises:
            TooLarge: naming the sizes.
        """
        if model.memory_bytes > self.budget_bytes:
            raise TooLarge(
                f"model {model.name!r} needs about {shown(model.memory_bytes)} of memory, and "
                f"models may take {shown(self.budget_bytes)}; allow more with --memory GIB"
            )

    def want(self, model: FleetModel) -> None:
        """Load ``model`` as soon as there is room."""
        if not model.executors and not model.wanted:
            model.wanted = True
            model.used_s = time.monotonic()
            self._set_state(model, "waiting")
            self.look()

    async def unload(self, model: FleetModel, *, drain: bool = False) -> None:
        """Stop the model's renderers; its jobs wait until it is loaded again."""
        self._set_state(model, "unloading")
        if drain:
            await model.drain()
        self.restarts += sum(executor.restarts for executor in model.executors)
        await model.stop()
        self._set_state(model, "unloaded")
        self.look()

    async def _keep(self) -> None:
        while True:
            self._wake.clear()
            patience_s = await self._advance()
            if patience_s == 0:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._wake.wait()

    async def _advance(self) -> float | None:
        """One load or unload; then how long to wait for news, None without end."""
        wanting = [model for model in self._models if self._is_wanted(model)]
        if not wanting:
            return None
        model = min(wanting, key=lambda m: m.used_s)
        loaded = [m for m in self._models if m.state == "loaded"]
        idle = [m for m in loaded if not m.queue.num_unfinished]
        left_s = model.used_s + PATIENCE_S - time.monotonic()
        if model.memory_bytes <= self.budget_bytes - self.used_bytes:
            with contextlib.suppress(AudioLDMError):
                await self._load(model)
        elif idle:
            await self.unload(_least_used(idle))
        elif left_s > 0 or not loaded:
            return max(left_s, 0.1)
        else:
            await self.unload(_least_used(loaded), drain=True)
        return 0

    def _is_wanted(self, model: FleetModel) -> bool:
        if not model.executors and model.queue.num_unfinished:
            self.want(model)
        return not model.executors and model.wanted

    async def _load(self, model: FleetModel) -> None:
        self._set_state(model, "loading")
        try:
            await model.load(self._listeners.notify)
        except Exception as error:
            failure = error if isinstance(error, AudioLDMError) else ModelError(str(error))
            log.warning("model %s cannot be loaded: %s", model.name, failure)
            model.wanted = False
            if self._task is not None:
                for job_id in model.queue.unfinished:
                    await self._book.fail(job_id, failure)
            self._set_state(model, "failed", str(failure))
            raise failure from error
        model.wanted = False
        model.used_s = time.monotonic()
        self._set_state(model, "loaded")

    def _set_state(self, model: FleetModel, state: str, error: str = "") -> None:
        model.state, model.error = state, error
        log.info("model %s is %s", model.name, state)
        self._listeners.notify(model.info)


def _least_used(models: Iterable[FleetModel]) -> FleetModel:
    return min(models, key=lambda model: model.used_s)
