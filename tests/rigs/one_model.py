"""What an engine with one model says of it, for engines that tests are made of."""

from __future__ import annotations

from server.engine.engine import Engine, ModelInfo
from server.errors import InvalidRequest


class OneModelEngine(Engine):
    def models(self) -> list[ModelInfo]:
        return [ModelInfo(name=self.manifest.name, state="loaded", default=True)]

    async def load_model(self, name: str) -> ModelInfo:
        raise InvalidRequest("this engine has one model, which stays loaded")

    async def unload_model(self, name: str) -> ModelInfo:
        raise InvalidRequest("this engine has one model, which stays loaded")
