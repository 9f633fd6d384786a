"""Models that are being added while the engine runs.

The work is done in a thread of its own. It ends with the process: what was downloaded stays, and
the next addition goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from server.engine.engine import ModelInfo
from server.errors import AudioLDMError, Conflict, InvalidRequest, ModelError
from server.listeners import Listeners
from server.store.adding import add_model, check_plan
from server.store.plan import AddRequest, Plan, make_plan
from server.store.progress import Meter, Progress

__all__ = ["Additions"]

log = logging.getLogger("audioldm.models")


class Additions:
    """Adds models to ``folder``; ``listeners`` hear how far they are.

    Args:
        folder: where models are.
        listeners: are called with each model that is being added.
        added: is called with the folder of a model that is complete, on the loop; it may raise
            an error of ours.
    """

    def __init__(
        self, folder: Path, listeners: Listeners[ModelInfo], added: Callable[[Path], None]
    ) -> None:
        self._folder = folder
        self._listeners = listeners
        self._added = added
        self._infos: dict[str, ModelInfo] = {}
        self._meters: dict[str, Meter] = {}

    @property
    def infos(self) -> list[ModelInfo]:
        """The models that are being added, and those that could not be."""
        return list(self._infos.values())

    async def add(self, request: AddRequest) -> ModelInfo:
        """Begin; returns as soon as the download does.

        Raises:
            InvalidRequest: it names files of this machine.
            Forbidden, Conflict, StorageFull, NotFound, EngineUnavailable: it cannot be added.
        """
        _check_is_from_the_hub(request)
        name = request.folder_name
        if name in self._meters:
            raise Conflict(f"{name} is being added already; /v1/models says how far it is")
        plan = await asyncio.to_thread(make_plan, request, self._folder)
        check_plan(plan, self._folder)
        self._begin(plan)
        return self._infos[name]

    def close(self) -> None:
        """End all additions at their next byte."""
        for meter in self._meters.values():
            meter.cancel()

    def _begin(self, plan: Plan) -> None:
        loop = asyncio.get_running_loop()

        def tell(report: Callable[[], None]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(report)

        self._report(plan, Progress(name=plan.name, stage="asking"))
        meter = Meter(plan.name, lambda progress: tell(partial(self._report, plan, progress)))
        self._meters[plan.name] = meter
        work = threading.Thread(
            target=self._work, args=(plan, meter, tell), name=f"add {plan.name}", daemon=True
        )
        work.start()

    def _work(self, plan: Plan, meter: Meter, tell: Callable[[Callable[[], None]], None]) -> None:
        try:
            folder = add_model(plan, self._folder, meter)
        except Exception as error:
            failure = error if isinstance(error, AudioLDMError) else ModelError(str(error))
            tell(partial(self._fail, plan, failure))
        else:
            tell(partial(self._finish, plan, folder))

    def _report(self, plan: Plan, progress: Progress) -> None:
        self._infos[plan.name] = ModelInfo(
            name=plan.name,
            state="adding",
            licence=plan.licence,
            stage=progress.stage,
            done_bytes=progress.done_bytes,
            total_bytes=progress.total_bytes,
            left_s=progress.left_s,
        )
        self._listeners.notify(self._infos[plan.name])

    def _fail(self, plan: Plan, error: AudioLDMError) -> None:
        log.warning("model %s was not added: %s", plan.name, error)
        self._meters.pop(plan.name, None)
        info = ModelInfo(name=plan.name, state="failed", licence=plan.licence, error=str(error))
        self._infos[plan.name] = info
        self._listeners.notify(info)

    def _finish(self, plan: Plan, folder: Path) -> None:
        try:
            self._added(folder)
        except AudioLDMError as error:
            self._fail(plan, error)
            return
        log.info("model %s was added", plan.name)
        self._meters.pop(plan.name, None)
        self._infos.pop(plan.name, None)


def _check_is_from_the_hub(request: AddRequest) -> None:
    """A client must not have the server read files of its choice."""
    for field in ("source", "clap"):
        value = getattr(request, field)
        if value and request.published is None and Path(value).expanduser().exists():
            raise InvalidRequest(f"{field} names files; add those with: audioldm-server model add")
    if request.tokenizer:
        raise InvalidRequest("tokenizer names files; add those with: audioldm-server model add")
