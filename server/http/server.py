"""An ASGI application on a socket, inside a program with its own loop and signals."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from server.errors import Conflict
from server.supervision import SupervisedTask

__all__ = ["listen", "serving"]

_GRACE_S: Final = 2
"""Time that downloads and streams have to end when the program stops."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the program."""
        yield


@asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``app`` inside the block; yields the port, which differs from ``port`` if that is 0.

    Raises:
        Conflict: the address is in use or not allowed.
    """
    sockets = [listen(host, port)]
    bound = sockets[0].getsockname()[1]
    server = _Server(_config(app))

    async def serve() -> None:
        nonlocal server
        server = _Server(_config(app))
        try:
            await server.serve([sockets.pop() if sockets else listen(host, bound)])
        finally:
            for listening in server.servers:
                listening.close()

    task = SupervisedTask(f"HTTP on port {bound}", serve)
    try:
        yield bound
    finally:
        server.should_exit = True
        await (task.stop() if task.failure else task.finish())


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        ws="wsproto",
        ws_max_size=2**20,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACE_S,
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket without Nagle's algorithm.

    Raises:
        Conflict: the address is in use or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only with an explicit TCP protocol asyncio turns off Nagle's algorithm, which costs 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port))
        listening.listen(256)
    except OSError as error:
        listening.close()
        raise Conflict(f"HTTP cannot listen on {host}:{port}: {error.strerror}") from error
    return listening
