"""An ASGI application on a socket, inside a program with its own loop and signals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from server.errors import Conflict
from server.http.protocols import REFUSAL, HttpConnection, WebSocketConnection
from server.net.connections import Connections
from server.net.limits import ConnectionLimits
from server.net.listener import Listener, listening_socket
from server.supervision import SupervisedTask

__all__ = ["listen", "serving"]

_GRACE_S: Final = 2
"""Time that downloads and streams have to end when the program stops."""


class _Server(uvicorn.Server):
    """uvicorn's server, behind a listener of our own."""

    def __init__(self, app: ASGIApp, listening: socket.socket, limits: ConnectionLimits) -> None:
        connections = Connections(limits, "HTTP")
        super().__init__(_config(app, connections))
        self._listener = Listener(
            listening, self._protocol, connections, f"HTTP on {_name(listening)}", REFUSAL
        )
        self.servers = []

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the program."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn; the listener accepts already."""
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn when it should exit."""
        await self.close()
        await super().shutdown(sockets)

    async def close(self) -> None:
        """Stop accepting."""
        await self._listener.close()

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state={}
        )
        return protocol


@asynccontextmanager
async def serving(
    app: ASGIApp, host: str, port: int, limits: ConnectionLimits | None = None
) -> AsyncIterator[int]:
    """Serve ``app`` inside the block; yields the port, which differs from ``port`` if that is 0.

    Raises:
        Conflict: the address is in use or not allowed.
    """
    limits = limits or ConnectionLimits()
    sockets = [listen(host, port)]
    bound = sockets[0].getsockname()[1]
    server: _Server | None = None
    stopping = False

    async def serve() -> None:
        nonlocal server
        server = _Server(app, sockets.pop() if sockets else listen(host, bound), limits)
        server.should_exit = stopping
        try:
            await server.serve()
        finally:
            await server.close()

    task = SupervisedTask(f"HTTP on port {bound}", serve)
    try:
        yield bound
    finally:
        stopping = True
        if server is not None:
            server.should_exit = True
        await (task.stop() if task.failure else task.finish())


def _config(app: ASGIApp, connections: Connections) -> uvicorn.Config:
    http: Any = partial(HttpConnection, connections=connections)
    web_socket: Any = partial(WebSocketConnection, connections=connections)
    return uvicorn.Config(
        app,
        http=http,
        ws=web_socket,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        ws_max_size=2**20,
        # A few bytes would unfold to any size before that limit is checked.
        ws_per_message_deflate=False,
        timeout_keep_alive=round(connections.limits.idle_s),
        timeout_graceful_shutdown=_GRACE_S,
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket without Nagle's algorithm.

    Raises:
        Conflict: the address is in use or not allowed.
    """
    try:
        return listening_socket(host, port)
    except OSError as error:
        raise Conflict(f"HTTP cannot listen on {host}:{port}: {error.strerror}") from error


def _name(listening: socket.socket) -> str:
    return f"port {listening.getsockname()[1]}"
