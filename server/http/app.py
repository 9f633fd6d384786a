"""The HTTP application: access, routes, errors, panel."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.engine.engine import Engine
from server.errors import AudioLDMError, InvalidRequest, NotFound, Unauthorized
from server.http.access import COOKIE, Gate
from server.http.io import answer, body, error_answer
from server.http.openapi import Operation, document
from server.http.routes.clips import ClipRoutes
from server.http.routes.jobs import JobRoutes
from server.http.routes.metrics import Metrics
from server.http.routes.models import ModelRoutes
from server.http.routes.status import StatusRoutes
from server.http.routes.takes import TakeRoutes
from server.http.views import ErrorBody, ErrorView, Views
from server.jobs.clap_towers import ClapTowers
from server.jobs.journal import Journal
from server.jobs.library import Library
from server.jobs.sound_search import SoundSearch
from server.jobs.uploads import Uploads

__all__ = ["HttpApi"]

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

    ``make_towers`` loads the CLAP towers at the first search by sound.
    ``presets`` is the user's own folder of presets. ``extra_routes`` come first, so that OSCQuery
    can share the port. They need no token, because OSC has none, but pages of other sites are
    refused there too.
    """

    def __init__(
        self,
        engine: Engine,
        uploads: Uploads,
        *,
        journal: Journal | None = None,
        make_towers: Callable[[], ClapTowers] | None = None,
        gate: Gate | None = None,
        presets: Path | None = None,
        extra_routes: Sequence[BaseRoute] = (),
    ) -> None:
        self._closing = asyncio.Event()
        self._gate = gate or Gate(None)
        self._views = Views(engine, uploads)
        self._metrics = Metrics(engine)
        by_sound = SoundSearch(journal, make_towers) if journal and make_towers else None
        library = Library(journal, by_sound) if journal else None
        jobs = JobRoutes(engine, self._views, uploads, self._closing)
        self._operations: tuple[Operation, ...] = (
            *StatusRoutes(engine, self._metrics, uploads.max_bytes, presets).operations,
            *jobs.operations,
            *ClipRoutes(uploads).operations,
            *TakeRoutes(self._views, library).operations,
            *ModelRoutes(engine).operations,
            Operation(
                *("POST", "/v1/session", self.sign_in, "Sign a browser in with a token"),
                body=_Session,
                status=204,
            ),
        )
        self._document = msgspec.json.encode(document(self._operations))
        application = Starlette(
            routes=[
                *extra_routes,
                *(_route(operation) for operation in self._operations),
                WebSocketRoute("/v1/events", jobs.websocket),
                Route("/openapi.json", self._openapi),
                Mount("/panel", StaticFiles(directory=_panel(), html=True)),
                Route("/", _to_panel),
            ],
            exception_handlers={
                AudioLDMError: _answer_error,
                HTTPException: _answer_http_error,
                Exception: _answer_unexpected,
            },
        )
        self.app: ASGIApp = _AccessMiddleware(application, self._gate, self._metrics, extra_routes)

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
        secure = request.url.scheme == "https"
        response.set_cookie(
            COOKIE, token, max_age=30 * 86400, httponly=True, samesite="strict", secure=secure
        )
        return response

    async def _openapi(self, _: Request) -> Response:
        return Response(self._document, media_type="application/json")


class _AccessMiddleware:
    """The outermost layer: checks access, measures, adds security headers."""

    def __init__(
        self, app: ASGIApp, gate: Gate, metrics: Metrics, open_routes: Sequence[BaseRoute]
    ) -> None:
        self._app = app
        self._gate = gate
        self._open_routes = open_routes
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                added = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    added.setdefault(name, value)
                self._measure(scope, message["status"], time.perf_counter() - started)
            await send(message)

        try:
            scope.setdefault("state", {})["client"] = self._admitted(scope, headers)
        except AudioLDMError as error:
            await _refuse(error, scope, receive, send_with_headers)
            return
        if scope["path"] == "/" and "text/html" in headers.get("accept", ""):
            await RedirectResponse("/panel/")(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _admitted(self, scope: Scope, headers: Headers) -> Any:
        names = dict(headers.items())
        try:
            return self._gate.admit(names)
        except Unauthorized:
            if self._needs_token(scope):
                raise
            return None

    def _needs_token(self, scope: Scope) -> bool:
        path = scope["path"]
        if any(path == open_ or path.startswith(f"{open_}/") for open_ in _OPEN_PATHS):
            return False
        return not any(route.matches(scope)[0] is Match.FULL for route in self._open_routes)

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        path = getattr(route, "path", "other") if route is not None else "other"
        self._metrics.answered(scope.get("method", "WS"), path, status, seconds)


async def _refuse(error: AudioLDMError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": str(error)[:120]})
        return
    await error_answer(error)(scope, receive, send)


def _route(operation: Operation) -> Route:
    return Route(operation.path, operation.handler, methods=[operation.method])


async def _to_panel(_: Request) -> Response:
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


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    return error_answer(AudioLDMError(f"{type(error).__name__}; see the server's log"))


def _panel() -> Path:
    return Path(str(files("server"))) / "panel"
