"""Which models of a fleet are in memory: loaded when they are wanted, unloaded for room.

The budget is one device's: every model has one worker on each device. What is wanted is loaded
in the order in which it was asked for. Room is made by the idle model that was used least
recently; where all are busy, the first in line waits for an idle one, at most ``PATIENCE_S``,
then the least recently used one finishes what it renders, and its queue waits in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from server.engine.engine import Unlisten
from server.engine.fleet_model import FleetModel
from server.engine.model_host import ModelInfo, ModelListener
from server.errors import AudioLDMError, ModelError, TooLarge
from server.jobs.job import Job
from server.jobs.journal import Journal
from server.model.memory import shown

__all__ = ["Loader"]

log = logging.getLogger("audioldm.fleet")

PATIENCE_S: float = 30.0
_FAILURES: Final = (AudioLDMError, OSError)


class Loader:
    """Keeps ``models`` within ``budget_bytes``.

    ``unfinished`` lists a model's jobs; ``mirror`` hears every snapshot of its engines;
    ``left_over`` is awaited when a model's engines are gone, with why it could not be loaded.
    """

    def __init__(
        self,
        models: Sequence[FleetModel],
        budget_bytes: int,
        journal: Journal | None,
        *,
        unfinished: Callable[[FleetModel], list[Job]],
        mirror: Callable[[Job], None],
        left_over: Callable[[FleetModel, AudioLDMError | None], Awaitable[None]],
    ) -> None:
        self.budget_bytes = budget_bytes
        self.restarts = 0
        """Workers lost by engines that are not loaded any more."""
        self._models = models
        self._journal = journal
        self._unfinished = unfinished
        self._mirror = mirror
        self._left_over = left_over
        self._listeners: list[ModelListener] = []
        self._wake = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def used_bytes(self) -> int:
        """What the models take that are loaded."""
        return sum(model.memory_bytes for model in self._models if model.engines)

    async def start(self) -> None:
        """Load the first model; from then on, load what is wanted.

        Raises:
            ModelError: it cannot be loaded.
            TooLarge: the budget is too small for it.
        """
        self.check(self._models[0])
        await self._load(self._models[0])
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Unload everything; jobs stay as they are."""
        await self.pause()
        await asyncio.gather(*(m.stop(drain=False) for m in self._models if m.engines))
        for model in self._models:
            model.state = "unloaded"

    async def pause(self) -> None:
        """Load and unload nothing more."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None

    def look(self) -> None:
        """Something has changed: a model may be wanted, or idle."""
        self._wake.set()

    def listen(self, listener: ModelListener) -> Unlisten:
        """Call ``listener`` at every change of a model's state."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

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
        if not model.engines and not model.wanted:
            model.wanted = True
            model.used_s = time.monotonic()
            self._tell(model, "waiting")
            self.look()

    async def unload(self, model: FleetModel, *, drain: bool = False) -> None:
        """Stop the model's engines."""
        self._tell(model, "unloading")
        self.restarts += sum(engine.status().restarts for engine in model.engines)
        await model.stop(drain=drain)
        await self._left_over(model, None)
        self._tell(model, "unloaded")
        self.look()

    def info(self, model: FleetModel) -> ModelInfo:
        """How a model stands."""
        return model.info(default=model is self._models[0], jobs=len(self._unfinished(model)))

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
        wanting = [m for m in self._models if not m.engines and self._wanted(m)]
        if not wanting:
            return None
        model = min(wanting, key=lambda m: m.used_s)
        loaded = [m for m in self._models if m.state == "loaded"]
        idle = [m for m in loaded if not m.busy]
        left_s = model.used_s + PATIENCE_S - time.monotonic()
        if model.memory_bytes <= self.budget_bytes - self.used_bytes:
            with contextlib.suppress(ModelError):
                await self._load(model)
        elif idle:
            await self.unload(_least_used(idle))
        elif left_s > 0 or not loaded:
            return max(left_s, 0.1)
        else:
            await self.unload(_least_used(loaded), drain=True)
        return 0

    def _wanted(self, model: FleetModel) -> bool:
        if not model.wanted and self._unfinished(model):
            self.want(model)
        return model.wanted

    async def _load(self, model: FleetModel) -> None:
        self._tell(model, "loading")
        try:
            await model.load(self._journal, lambda: self._unfinished(model), self._mirror)
        except _FAILURES as error:
            failure = error if isinstance(error, AudioLDMError) else ModelError(str(error))
            log.warning("model %s cannot be loaded: %s", model.name, failure)
            model.wanted = False
            if self._keeper is not None:
                await self._left_over(model, failure)
            self._tell(model, "failed", str(failure))
            raise ModelError(str(failure)) from error
        model.wanted = False
        model.used_s = time.monotonic()
        self._tell(model, "loaded")

    def _tell(self, model: FleetModel, state: str, error: str = "") -> None:
        model.state, model.error = state, error
        log.info("model %s is %s", model.name, state)
        told = self.info(model)
        for listener in tuple(self._listeners):
            try:
                listener(told)
            except Exception:
                log.exception("a listener failed on model %s", model.name)


def _least_used(models: Iterable[FleetModel]) -> FleetModel:
    return min(models, key=lambda model: model.used_s)
