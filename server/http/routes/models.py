"""Routes of models: list, add, load, unload."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.engine.engine import Engine, ModelInfo
from server.errors import Forbidden
from server.http.io import answer, body, client_of
from server.http.openapi import Operation
from server.store.catalogue import Offer, offers
from server.store.plan import AddRequest

__all__ = ["ModelRoutes", "Models"]


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """All models, the memory that they use and may use on each device, and what can be added."""

    budget_bytes: int
    used_bytes: int
    models: tuple[ModelInfo, ...]
    offers: tuple[Offer, ...] = ()


class ModelRoutes:
    """``/v1/models``. Their changes are events named ``model`` in ``/v1/events``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What is answered, and how it is described."""
        return (
            Operation(
                *("GET", "/v1/models", self.list_models, "All models, the default first"),
                answer=Models,
            ),
            Operation(
                *("POST", "/v1/models", self.add_model),
                "Download a published model; events named model say how far it is",
                body=AddRequest,
                answer=ModelInfo,
                status=202,
                errors=(400, 403, 404, 409, 503, 507),
            ),
            Operation(
                *("POST", "/v1/models/{name}/load", self.load_model),
                "Load a model as soon as there is room; jobs that name it do the same",
                answer=ModelInfo,
                status=202,
                errors=(404, 413, 503),
            ),
            Operation(
                *("POST", "/v1/models/{name}/unload", self.unload_model),
                "Free a model's memory; the next job for it loads it again",
                answer=ModelInfo,
                errors=(404, 409, 503),
            ),
        )

    async def list_models(self, _: Request) -> Response:
        used, budget = self._engine.memory
        models = tuple(self._engine.models())
        offered = offers({model.name for model in models if model.state != "failed"})
        return answer(Models(budget_bytes=budget, used_bytes=used, models=models, offers=offered))

    async def add_model(self, request: Request) -> Response:
        _check_may(request)
        return answer(await self._engine.add_model(await body(request, AddRequest)), 202)

    async def load_model(self, request: Request) -> Response:
        _check_may(request)
        return answer(await self._engine.load_model(request.path_params["name"]), 202)

    async def unload_model(self, request: Request) -> Response:
        _check_may(request)
        return answer(await self._engine.unload_model(request.path_params["name"]))


def _check_may(request: Request) -> None:
    """Only clients that see everybody's jobs manage the disk and the memory, which all share.

    Raises:
        Forbidden: an ordinary client.
    """
    if not client_of(request).sees_all:
        raise Forbidden(
            "this token may not add, load or unload models; a job that names one loads it"
        )
