"""Models: list, add, load and unload them, and report how that ends."""

from __future__ import annotations

from typing import Final

from osc_bridge.messages.message import Command
from osc_bridge.messages.models import (
    ModelAdd,
    ModelEntry,
    ModelList,
    ModelListed,
    ModelLoad,
    ModelNotice,
    ModelProgress,
    ModelState,
    ModelUnload,
)
from osc_bridge.service.service import Context, Handler, Service
from server.engine.engine import Engine, ModelInfo
from server.store.plan import AddRequest

__all__ = ["ModelHandlers"]

_SETTLED: Final = ("loaded", "unloaded", "failed")


class ModelHandlers:
    """Handlers of the model addresses, and the listener that reports changes of models."""

    def __init__(self, service: Service, engine: Engine) -> None:
        self._service = service
        self._engine = engine
        self._waiting: dict[str, set[str]] = {}
        """Keys of the clients that wait for a model, by its name."""
        self._states: dict[str, str] = {}
        """The last state of each model that was reported."""
        self._unlisten = engine.listen_models(self._model_changed)

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {
            ModelList: self._list,
            ModelAdd: self._add,
            ModelLoad: self._load,
            ModelUnload: self._unload,
        }

    def close(self) -> None:
        """Stop listening to the engine."""
        self._unlisten()

    def _list(self, _: ModelList, context: Context) -> None:
        models = self._engine.models()
        for model in models:
            self._service.reply(context.client, _entry(model))
        self._service.reply(context.client, ModelListed(len(models)))

    async def _add(self, command: ModelAdd, context: Context) -> None:
        request = AddRequest(source=command.name, accept_licence=command.accept_licence)
        self._answer(await self._engine.add_model(request), context)

    async def _load(self, command: ModelLoad, context: Context) -> None:
        self._answer(await self._engine.load_model(command.name), context)

    def _answer(self, model: ModelInfo, context: Context) -> None:
        """Say how the model stands, and how it goes on."""
        self._service.reply(context.client, _state(model))
        if model.state not in _SETTLED:
            self._waiting.setdefault(model.name, set()).add(context.client.key)

    async def _unload(self, command: ModelUnload, context: Context) -> None:
        model = await self._engine.unload_model(command.name)
        self._service.reply(context.client, _state(model))

    def _model_changed(self, model: ModelInfo) -> None:
        is_news = self._states.get(model.name) != model.state
        self._states[model.name] = model.state
        if is_news:
            self._service.broadcast(ModelNotice(model.name, model.state, model.error))
        for key in self._waiting.get(model.name, ()):
            if client := self._service.clients.get(key):
                self._service.reply(client, _state(model) if is_news else _progress(model))
        if model.state in _SETTLED:
            self._waiting.pop(model.name, None)


def _state(model: ModelInfo) -> ModelState:
    return ModelState(model.name, model.state, model.error)


def _progress(model: ModelInfo) -> ModelProgress:
    share = model.done_bytes / model.total_bytes if model.total_bytes else 0.0
    return ModelProgress(model.name, model.stage, min(1.0, share), model.left_s)


def _entry(model: ModelInfo) -> ModelEntry:
    return ModelEntry(
        name=model.name,
        state=model.state,
        memory_mib=model.memory_bytes // 2**20,
        devices=",".join(model.devices or model.providers),
        sample_rate=model.sample_rate,
        licence=model.licence,
    )
