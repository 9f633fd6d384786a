"""Requests of those who may not come in, over real sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Final

from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

__all__ = ["EVIL", "UPGRADE", "paths_of", "status_of"]

EVIL: Final = "evil.example"
UPGRADE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def paths_of(routes: Sequence[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of every route, with ``1`` for its parameters."""
    for route in routes:
        path = prefix + re.sub(r"{[^}]*}", "1", getattr(route, "path", ""))
        if isinstance(route, Route):
            yield from ((method, path) for method in sorted(route.methods or {"GET"}))
        elif isinstance(route, WebSocketRoute):
            yield "WS", path
        elif isinstance(route, Mount):
            yield "GET", f"{path}/"
            yield from paths_of(route.routes, path)
        elif included := getattr(route, "original_router", None):  # FastAPI's
            yield from paths_of(included.routes, prefix)


async def status_of(port: int, method: str, path: str, **headers: str) -> int:
    """The status of one request with exactly these headers; ``WS`` asks for an upgrade."""
    sent = {"Host": f"127.0.0.1:{port}", "Connection": "close"}
    if method == "WS":
        method, sent = "GET", sent | UPGRADE
    elif method in ("POST", "PUT", "PATCH"):
        sent["Content-Length"] = "0"
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in sent.items()), "", ""]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write("\r\n".join(lines).encode())
        answer = await asyncio.wait_for(reader.readline(), 20)
        return int(answer.split()[1])
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
