"""The HTTP application: access, routes, errors, panel."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.engine.engine import Engine
from server.errors import AudioLDMError, InvalidRequest, NotFound
from server.http.access import COOKIE, LOCAL, Caller, Gate
from server.http.entrance import Entrance
from server.http.io import answer, body, error_answer
from server.http.openapi import Operation, document
from server.http.routes.clips import ClipRoutes
from server.http.routes.jobs import JobRoutes
from server.http.routes.library import LibraryRoutes
from server.http.routes.metrics import Metrics
from server.http.routes.models import ModelRoutes
from server.http.routes.status import PortLimits, StatusRoutes
from server.http.routes.takes import TakeRoutes
from server.http.streams import StreamSlots
from server.http.views import ErrorBody, ErrorView, Views
from server.jobs.journal import Journal
from server.jobs.library import Library
from server.jobs.sound_search import SoundSearch, Towers
from server.jobs.uploads import Uploads
from server.net.limits import ConnectionLimits
from server.sample_library.library import SampleLibrary

__all__ = ["HttpApi", "alone"]

log = logging.getLogger("audioldm.http")

_OPEN_PATHS: Final = ("/health", "/ready", "/openapi.json", "/panel", "/v1/session")
_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; "
    "connect-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class _Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sign in: the token becomes a cookie that scripts cannot read."""

    token: str


class HttpApi:
    """The HTTP interface of one engine; ``app`` is the ASGI application.

    ``towers`` embed what takes are searched by, and takes that have no embedding.
    ``presets`` is the user's own folder of presets, ``samples`` the library of the user's sounds.
    ``extra_routes`` come first, so that OSCQuery can share the port; they are behind the same
    gate. ``limits`` are those of the port.
    """

    def __init__(
        self,
        engine: Engine,
        uploads: Uploads,
        *,
        journal: Journal | None = None,
        towers: Towers | None = None,
        gate: Gate | None = None,
        presets: Path | None = None,
        samples: SampleLibrary | None = None,
        extra_routes: Sequence[BaseRoute] = (),
        limits: ConnectionLimits | None = None,
        streams: StreamSlots | None = None,
    ) -> None:
        self._streams = streams or StreamSlots()
        self._closing = asyncio.Event()
        self._gate = gate or Gate(None)
        self._views = Views(engine, uploads)
        self._metrics = Metrics(engine)
        by_sound = SoundSearch(journal, towers) if journal and towers else None
        library = Library(journal, by_sound) if journal else None
        jobs = JobRoutes(engine, self._views, uploads, self._closing)
        told = PortLimits.of(uploads.max_bytes, limits or ConnectionLimits(), self._streams)
        self._operations: tuple[Operation, ...] = (
            *StatusRoutes(
                *(engine, self._metrics, told, presets),
                library=samples is not None,
                stage=bool(extra_routes),
            ).operations,
            *jobs.operations,
            *ClipRoutes(uploads).operations,
            *TakeRoutes(self._views, library).operations,
            *ModelRoutes(engine).operations,
            *(LibraryRoutes(samples).operations if samples else ()),
            Operation(
                *("POST", "/v1/session", self.sign_in, "Sign a browser in with a token"),
                body=_Session,
                status=204,
            ),
        )
        self._document = msgspec.json.encode(document(self._operations))
        self.routes: Sequence[BaseRoute] = (
            *extra_routes,
            *(_route(operation) for operation in self._operations),
            WebSocketRoute("/v1/events", jobs.websocket),
            Route("/openapi.json", self._openapi),
            Mount("/panel", StaticFiles(directory=_panel(), html=True)),
            Route("/", _to_panel),
        )
        application = Starlette(routes=self.routes, exception_handlers=_error_handlers())
        entrance = Entrance(_PanelAtRoot(application), self._gate, _is_open, self._streams)
        self.app: ASGIApp = _Measured(entrance, self._metrics)

    def close(self) -> None:
        """End the event streams, which have no end of their own."""
        self._closing.set()
        self._metrics.unlisten()

    async def sign_in(self, request: Request) -> Response:
        """Answer with a session cookie if the token is valid."""
        token = (await body(request, _Session)).token
        if not token.isascii() or not token.isprintable() or len(token) > 200:
            raise InvalidRequest("this is not a token")
        headers = {"host": request.headers.get("host", ""), "authorization": f"Bearer {token}"}
        if self._gate.asks_for_token:
            self._gate.admit(headers)
        response = Response(status_code=204)
        response.set_cookie(
            COOKIE,
            token,
            max_age=30 * 86400,
            httponly=True,
            samesite="strict",
            secure=_came_over_tls(request),
        )
        return response

    async def _openapi(self, _: Request) -> Response:
        return Response(self._document, media_type="application/json")


def alone(operations: Iterable[Operation], client: Caller = LOCAL) -> ASGIApp:
    """An application of a few routes, for calls by ``client`` from within this process."""
    routes = Starlette(
        routes=[_route(operation) for operation in operations], exception_handlers=_error_handlers()
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["client"] = client
        await routes(scope, receive, send)

    return app


def _error_handlers() -> dict[Any, Any]:
    return {
        AudioLDMError: _answer_error,
        HTTPException: _answer_http_error,
        ClientDisconnect: _answer_nobody,
        Exception: _answer_unexpected,
    }


class _Measured:
    """The outermost layer: adds security headers to every answer and measures it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                added = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    added.setdefault(name, value)
                self._measure(scope, message["status"], time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        path = getattr(scope.get("route"), "path", "other")
        self._metrics.answered(scope.get("method", "WS"), path, status, seconds)


class _PanelAtRoot:
    """Shows a browser the panel at ``/``, which for control surfaces is OSCQuery's root."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _asks_for_panel(scope):
            await _to_panel(Request(scope))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_open(scope: Scope) -> bool:
    """True for what needs no token: the panel, signing in, and questions about the program."""
    path = scope["path"]
    known = any(path == open_ or path.startswith(f"{open_}/") for open_ in _OPEN_PATHS)
    return known or _asks_for_panel(scope)


def _asks_for_panel(scope: Scope) -> bool:
    """True for a browser at ``/``."""
    at_root = scope["type"] == "http" and scope["path"] == "/"
    return at_root and "text/html" in Headers(scope=scope).get("accept", "")


def _came_over_tls(request: Request) -> bool:
    """True for a page that was served over TLS, by a proxy in front or by us.

    Who lies about it makes only its own cookie useless.
    """
    headers = request.headers
    told = (request.url.scheme, headers.get("x-forwarded-proto", ""))
    return "https" in told or headers.get("origin", "").startswith("https://")


def _route(operation: Operation) -> Route:
    return Route(operation.path, operation.handler, methods=[operation.method])


def _to_panel(_: Request) -> Response:
    return RedirectResponse("/panel/")


async def _answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, AudioLDMError)
    return error_answer(error)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return error_answer(NotFound(f"nothing is at {request.url.path[:200]}"))
    codes = {405: "method_not_allowed", 416: "range_not_satisfiable"}
    content = ErrorBody(ErrorView(codes.get(error.status_code, "bad_request"), error.detail))
    return answer(content, error.status_code, dict(error.headers or {}))


async def _answer_nobody(_: Request, __: Exception) -> Response:
    """The client went away before its body was complete."""
    return Response(status_code=400)


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    return error_answer(AudioLDMError(f"{type(error).__name__}; see the server's log"))


def _panel() -> Path:
    return Path(str(files("server"))) / "panel"
