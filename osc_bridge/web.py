"""An ASGI application served on the event loop that is already running."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from osc_bridge.udp import port_refused

__all__ = ["serve_web"]


@asynccontextmanager
async def serve_web(app: Any, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``app`` inside the context; yields the port (useful where 0 was asked for).

    Raises:
        DeviceError: the port cannot be opened.
    """
    listening = _listen(host, port)
    options = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ws="wsproto"
    )
    server = _Server(options)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        yield int(listening.getsockname()[1])
    finally:
        server.should_exit = server.force_exit = True
        await serving
        listening.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the program's business."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise port_refused("HTTP", host, port, error) from error
    return listening
