"""Routes about the server itself: health, metrics, features, presets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server import __version__
from server.engine.engine import Engine, EngineStatus
from server.errors import EngineUnavailable
from server.http.io import MAX_JSON_BYTES, answer, client_of
from server.http.openapi import Operation
from server.http.routes.metrics import Metrics
from server.http.streams import StreamSlots
from server.jobs.acceptance import Limits
from server.model.manifest import Manifest
from server.net.limits import MAX_HEAD_BYTES, ConnectionLimits
from server.requests.fields import Field, fields_of
from server.requests.presets import Preset, find_preset, list_presets
from server.requests.request import REQUESTS

__all__ = ["PortLimits", "StatusRoutes"]


class Health(msgspec.Struct, frozen=True):
    """The program answers."""

    status: str
    version: str


class Kind(msgspec.Struct, frozen=True):
    """A kind of request."""

    kind: str
    label: str
    """Name for people."""
    description: str
    fields: tuple[Field, ...]


class PortLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the port takes; times are in seconds."""

    upload_bytes: int
    json_bytes: int
    head_bytes: int
    connections: int
    connections_per_address: int
    """IPv6 addresses count by their /64 network; loopback has no such limit."""
    streams: int
    """Event streams and WebSockets at a time."""
    streams_per_client: int
    head_s: float
    """For the head of a request."""
    stall_s: float
    """For 1 KiB of a body, and between two reads of an answer."""
    idle_s: float
    """Between the requests of a connection."""

    @classmethod
    def of(cls, upload_bytes: int, port: ConnectionLimits, streams: StreamSlots) -> PortLimits:
        """The limits of this server."""
        return cls(
            upload_bytes=upload_bytes,
            json_bytes=MAX_JSON_BYTES,
            head_bytes=MAX_HEAD_BYTES,
            connections=port.affordable,
            connections_per_address=port.per_address,
            streams=streams.total,
            streams_per_client=streams.per_client,
            head_s=port.head_s,
            stall_s=port.stall_s,
            idle_s=port.idle_s,
        )


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """Models, kinds of request and limits of this server."""

    version: str
    model: Manifest
    kinds: tuple[Kind, ...]
    max_upload_bytes: int
    max_queued: int
    limits: Limits
    """On the estimated rendering time, in seconds; 0: none."""
    port: PortLimits
    owner: str
    """Name of the client that asks."""
    library: bool
    """Whether this client may use the sample library."""
    stage: bool
    """Whether OSC is answered on the WebSocket of this port."""


class StatusRoutes:
    """``/health``, ``/ready``, ``/metrics``, ``/features``, ``/v1/status``, ``/v1/presets``."""

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        port: PortLimits,
        presets: Path | None = None,
        *,
        library: bool = False,
        stage: bool = False,
    ) -> None:
        """``presets`` is the user's own folder of presets; ``library``, ``stage``: there is one."""
        self._library = library
        self._stage = stage
        self._presets = presets
        self._engine = engine
        self._metrics = metrics
        self._port = port

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What is answered, and how it is described."""
        return (
            Operation("GET", "/health", self.health, "The program answers", answer=Health),
            Operation(
                *("GET", "/ready", self.ready, "The next job can be rendered"),
                answer=EngineStatus,
                errors=(503,),
            ),
            Operation(
                *("GET", "/metrics", self.metrics, "For Prometheus"),
                content="text/plain",
            ),
            Operation(
                "GET",
                "/features",
                self.features,
                "Kinds of request and their fields, the model, limits",
                answer=Features,
            ),
            Operation("GET", "/v1/status", self.status, "The engine", answer=EngineStatus),
            Operation("GET", "/v1/presets", self.presets, "All presets", answer=list[Preset]),
            Operation(
                *("GET", "/v1/presets/{name}", self.preset, "One preset"),
                answer=Preset,
                errors=(404,),
            ),
        )

    async def health(self, _: Request) -> Response:
        return answer(Health("ok", __version__))

    async def ready(self, _: Request) -> Response:
        status = self._engine.status()
        if status.state != "ready":
            raise EngineUnavailable(f"the engine is {status.state}")
        return answer(_without_details(status))

    async def status(self, request: Request) -> Response:
        status = self._engine.status()
        return answer(status if client_of(request).sees_all else _without_details(status))

    async def metrics(self, _: Request) -> Response:
        content, media_type = self._metrics.expose()
        return Response(content, headers={"Content-Type": media_type})

    async def features(self, request: Request) -> Response:
        client = client_of(request)
        return answer(
            Features(
                version=__version__,
                model=self._engine.manifest,
                kinds=tuple(_kind(kind) for kind in REQUESTS),
                max_upload_bytes=self._port.upload_bytes,
                max_queued=client.max_queued,
                limits=self._engine.limits,
                port=self._port,
                owner=client.name,
                library=self._library and client.sees_all,
                stage=self._stage,
            )
        )

    async def presets(self, _: Request) -> Response:
        return answer(await asyncio.to_thread(list_presets, self._presets))

    async def preset(self, request: Request) -> Response:
        name = request.path_params["name"]
        return answer(await asyncio.to_thread(find_preset, name, self._presets))


def _kind(kind: Any) -> Kind:
    first = (kind.__doc__ or "").strip().splitlines()[0]
    return Kind(str(kind.__struct_config__.tag), kind.label, first, fields_of(kind))


def _without_details(status: EngineStatus) -> EngineStatus:
    """What everybody may see: of the details, only the names of tasks that have failed."""
    failing = sorted(status.details.get("failing", ()))
    return msgspec.structs.replace(status, details={"failing": failing} if failing else {})
