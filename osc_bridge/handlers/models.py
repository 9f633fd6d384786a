"""The models' OSC handlers: who asked for a load or an unload is told until it is settled."""

from __future__ import annotations

from typing import Final

from osc_bridge.messages.message import Command
from osc_bridge.messages.models import (
    ModelEntry,
    ModelList,
    ModelListed,
    ModelLoad,
    ModelNotice,
    ModelState,
    ModelUnload,
)
from osc_bridge.service.service import Context, Handler, Service
from server.engine.engine import Engine, ModelInfo

__all__ = ["ModelMessages"]

_SETTLED: Final = ("loaded", "unloaded", "failed")


class ModelMessages:
    """Handlers of the model addresses, and the listener that tells what becomes of models."""

    def __init__(self, service: Service, engine: Engine) -> None:
        self._service = service
        self._engine = engine
        self._asked: dict[str, set[str]] = {}
        """Keys of the clients that wait for a model, by its name."""
        self._unlisten = engine.listen_models(self._changed)

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {ModelList: self._list, ModelLoad: self._load, ModelUnload: self._unload}

    def close(self) -> None:
        """Stop listening to the engine."""
        self._unlisten()

    def _list(self, _: ModelList, context: Context) -> None:
        models = self._engine.models()
        for model in models:
            self._service.reply(context.client, _entry(model))
        self._service.reply(context.client, ModelListed(len(models)))

    async def _load(self, wanted: ModelLoad, context: Context) -> None:
        model = await self._engine.load_model(wanted.name)
        self._service.reply(context.client, ModelState(model.name, model.state, model.error))
        if model.state not in _SETTLED:
            self._asked.setdefault(model.name, set()).add(context.client.key)

    async def _unload(self, wanted: ModelUnload, context: Context) -> None:
        model = await self._engine.unload_model(wanted.name)
        self._service.reply(context.client, ModelState(model.name, model.state, model.error))

    def _changed(self, model: ModelInfo) -> None:
        self._service.broadcast(ModelNotice(model.name, model.state, model.error))
        for key in self._asked.get(model.name, ()):
            if client := self._service.clients.get(key):
                self._service.reply(client, ModelState(model.name, model.state, model.error))
        if model.state in _SETTLED:
            self._asked.pop(model.name, None)


def _entry(model: ModelInfo) -> ModelEntry:
    return ModelEntry(
        model.name,
        model.state,
        model.memory_bytes // 2**20,
        ",".join(model.devices or model.providers),
        model.sample_rate,
        model.licence,
    )
