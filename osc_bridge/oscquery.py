"""OSCQuery: the address table over HTTP, and its values over a WebSocket.

A control surface that opens ``http://127.0.0.1:9537/`` finds every address with type, range,
unit and description, and hears of changes to those that it LISTENs to. Binary WebSocket
messages are OSC packets, answered like any other client's.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from osc_bridge.bridge import OscBridge
from osc_bridge.messages.message import Message
from osc_bridge.messages.submissions import Set
from osc_bridge.oscquery_tree import ATTRIBUTES, Node, node_at, tree_of
from osc_bridge.service.client_table import Sender, is_loopback
from osc_bridge.wire.codec import OscMessage, encode
from osc_bridge.wire.framing import MAX_FRAME
from server.errors import AudioLDMError
from server.json_errors import NOT_JSON

__all__ = ["OscQuery"]

NAME: Final = "audioldm-daw"
EXTENSIONS: Final = {
    **dict.fromkeys(ATTRIBUTES, True),
    "CLIPMODE": False,
    "IGNORE": True,
    "LISTEN": True,
    "OSC_STREAMING": True,
    "OVERLOADS": False,
    "PATH_ADDED": False,
    "PATH_CHANGED": True,
    "PATH_REMOVED": False,
    "PATH_RENAMED": False,
    "TAGS": False,
}
_MAX_UNSENT: Final = 1000
"""Messages that may wait for a slow WebSocket; then it is closed."""


class OscQuery:
    """The routes of OSCQuery for one bridge.

    They are meant to share a port with the HTTP API, behind its gate: it turns away web pages of
    other sites, which a browser would let reach this port.
    """

    def __init__(self, bridge: OscBridge) -> None:
        self._bridge = bridge
        self._listeners: set[_Listener] = set()
        self._numbers = itertools.count(1)
        bridge.service.on_change.append(self._changed)
        bridge.service.on_table.append(self._table_changed)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """For an application of one's own: the root and everything below ``/ldm``."""
        return (
            Route("/", self._http),
            Route("/ldm", self._http),
            Route("/ldm/{path:path}", self._http),
            WebSocketRoute("/", self._websocket),
        )

    def app(self) -> Starlette:
        """OSCQuery alone."""
        return Starlette(routes=[*self.routes, Route("/{path:path}", self._http)])

    @property
    def num_listeners(self) -> int:
        """Open WebSockets."""
        return len(self._listeners)

    def tree(self) -> Node:
        """The whole tree with present values."""
        return tree_of(self._bridge.service.table, self._value_of)

    def host_info(self, http_host: str, http_port: int) -> Node:
        """What ``?HOST_INFO`` answers."""
        return {
            "NAME": NAME,
            "OSC_IP": http_host,
            "OSC_PORT": self._bridge.port,
            "OSC_TRANSPORT": "UDP",
            "WS_IP": http_host,
            "WS_PORT": http_port,
            "EXTENSIONS": EXTENSIONS,
        }

    def _value_of(self, message: type[Message]) -> list[Any] | None:
        if message in self._bridge.service.values:
            return list(self._bridge.service.values[message]().to_osc().arguments)
        if not issubclass(message, Set):
            return None
        housekeeping = self._bridge.housekeeping
        value = housekeeping.last_set.get(message.field.name)
        value = housekeeping.value_of(message.field) if value is None else value
        return None if value is None else [value]

    async def _http(self, request: Request) -> Response:
        try:
            query = request.url.query
            if query == "HOST_INFO":
                port = request.url.port or 80
                return _json(self.host_info(request.url.hostname or "127.0.0.1", port))
            node = node_at(self.tree(), request.url.path)
        except AudioLDMError as error:
            return _json({"error": error.code, "message": str(error)}, error.status)
        if not query:
            return _json(node)
        if query not in ATTRIBUTES:
            sentence = f"attribute {query!r} is unknown; known are {', '.join(ATTRIBUTES)}"
            return _json({"error": "bad_request", "message": sentence}, 400)
        if query not in node:
            return Response(status_code=204)
        return _json({query: node[query]})

    async def _websocket(self, websocket: WebSocket) -> None:
        await websocket.accept()
        listener = _Listener(websocket, f"ws:{next(self._numbers)}")
        self._listeners.add(listener)
        sending = asyncio.create_task(listener.send_all())
        try:
            await self._converse(listener)
        finally:
            self._listeners.discard(listener)
            self._bridge.service.clients.forget(listener.sender.key)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _converse(self, listener: _Listener) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                event = await listener.websocket.receive()
                if event["type"] == "websocket.disconnect":
                    return
                if (packet := event.get("bytes")) is not None:
                    self._bridge.service.receive(packet, listener.sender, MAX_FRAME)
                else:
                    listener.command(event.get("text") or "")

    def _changed(self, message: OscMessage) -> None:
        packet: bytes | None = None
        for listener in tuple(self._listeners):
            if message.address in listener.paths:
                packet = packet or encode(message)
                listener.put(packet)

    def _table_changed(self) -> None:
        for listener in tuple(self._listeners):
            listener.put(msgspec.json.encode({"COMMAND": "PATH_CHANGED", "DATA": "/"}).decode())


class _Listener:
    """One WebSocket: what it listens to, and what it has yet to be sent."""

    def __init__(self, websocket: WebSocket, key: str) -> None:
        self.websocket = websocket
        self.paths: set[str] = set()
        host = websocket.client.host if websocket.client else ""
        self.sender = Sender(key, self.put, is_local=is_loopback(host))
        self._unsent: asyncio.Queue[bytes | str | None] = asyncio.Queue()

    def put(self, packet: bytes | str) -> None:
        """Send when the socket has room; a socket that never has is closed."""
        if self._unsent.qsize() < _MAX_UNSENT:
            self._unsent.put_nowait(packet)
        elif self._unsent.qsize() == _MAX_UNSENT:
            self._unsent.put_nowait(None)

    async def send_all(self) -> None:
        """Send what is put, until closed."""
        while (packet := await self._unsent.get()) is not None:
            if isinstance(packet, bytes):
                await self.websocket.send_bytes(packet)
            else:
                await self.websocket.send_text(packet)
        await self.websocket.close(1008)

    def command(self, text: str) -> None:
        """LISTEN or IGNORE; anything else is not for us and is passed over, as the proposal asks"""
        try:
            command = msgspec.json.decode(text, type=_Command)
        except NOT_JSON:
            return
        if command.COMMAND == "LISTEN" and len(self.paths) < _MAX_UNSENT:
            self.paths.add(command.DATA)
        elif command.COMMAND == "IGNORE":
            self.paths.discard(command.DATA)


class _Command(msgspec.Struct):
    COMMAND: str
    DATA: str = ""


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
