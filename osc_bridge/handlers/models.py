"""Models: list them, load and unload them, and report how a load ends."""

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

__all__ = ["ModelHandlers"]

_SETTLED: Final = ("loaded", "unloaded", "failed")


class ModelHandlers:
    """Handlers of the model addresses, and the listener that reports changes of models."""

    def __init__(self, service: Service, engine: Engine) -> None:
        self._service = service
        self._engine = engine
        self._waiting: dict[str, set[str]] = {}
        """Keys of the clients that wait for a model, by its name."""
        self._unlisten = engine.listen_models(self._model_changed)

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

    async def _load(self, command: ModelLoad, context: Context) -> None:
        model = await self._engine.load_model(command.name)
        self._service.reply(context.client, _state(model))
        if model.state not in _SETTLED:
            self._waiting.setdefault(model.name, set()).add(context.client.key)

    async def _unload(self, command: ModelUnload, context: Context) -> None:
        model = await self._engine.unload_model(command.name)
        self._service.reply(context.client, _state(model))

    def _model_changed(self, model: ModelInfo) -> None:
        self._service.broadcast(ModelNotice(model.name, model.state, model.error))
        for key in self._waiting.get(model.name, ()):
            if client := self._service.clients.get(key):
                self._service.reply(client, _state(model))
        if model.state in _SETTLED:
            self._waiting.pop(model.name, None)


def _state(model: ModelInfo) -> ModelState:
    return ModelState(model.name, model.state, model.error)


def _entry(model: ModelInfo) -> ModelEntry:
    return ModelEntry(
        name=model.name,
        state=model.state,
        memory_mib=model.memory_bytes // 2**20,
        devices=",".join(model.devices or model.providers),
        sample_rate=model.sample_rate,
        licence=model.licence,
    )
