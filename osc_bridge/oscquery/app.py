"""OSCQuery: the address table over HTTP, and its values over a WebSocket.

``http://127.0.0.1:9537/`` lists every address with its type, range, unit and description. A
WebSocket client that sends LISTEN for an address receives its changes. Binary WebSocket
messages are OSC packets and are answered like those of any other client. ``POST`` to an address
sends it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from osc_bridge.bridge import OscBridge
from osc_bridge.messages.addresses import AddressTable
from osc_bridge.messages.message import Message
from osc_bridge.messages.settings import Set
from osc_bridge.oscquery.posted import Posted
from osc_bridge.oscquery.subscriber import Subscriber
from osc_bridge.oscquery.tree import ATTRIBUTES, Node, node_at, tree_of
from osc_bridge.wire.codec import OscMessage, encode
from server.errors import AudioLDMError

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


class OscQuery:
    """The routes of OSCQuery for one bridge.

    They share a port with the HTTP API, behind its gate. The gate refuses web pages of other
    sites, which a browser would let reach this port.

    Args:
        bridge: whose address table and values are shown.
    """

    def __init__(self, bridge: OscBridge) -> None:
        self._bridge = bridge
        self._subscribers: set[Subscriber] = set()
        self._numbers = itertools.count(1)
        self._posted = Posted(bridge.service)
        bridge.service.values.changed.add(self._value_changed)
        bridge.service.table_changed.add(self._table_changed)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """The root and everything below ``/ldm``, to be mounted in an application."""
        return (
            Route("/", self._http),
            Route("/ldm", self._http),
            Route("/ldm/{path:path}", self._http),
            Route("/ldm/{path:path}", self._posted.answer, methods=["POST"]),
            WebSocketRoute("/", self._websocket),
        )

    def app(self) -> Starlette:
        """An application that serves OSCQuery alone."""
        return Starlette(routes=[*self.routes, Route("/{path:path}", self._http)])

    @property
    def num_subscribers(self) -> int:
        """Number of open WebSockets."""
        return len(self._subscribers)

    def tree(self) -> Node:
        """The whole tree with the current values."""
        return tree_of(self._bridge.service.table, self._value_of)

    def host_info(self, http_host: str, http_port: int) -> Node:
        """The answer to ``?HOST_INFO``."""
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
        if value := self._bridge.service.values.read(message):
            return list(value.to_osc().arguments)
        if not issubclass(message, Set):
            return None
        value = self._bridge.settings.value_of(message.field)
        return None if value is None else [value]

    async def _http(self, request: Request) -> Response:
        self._trust(request)
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

    def _trust(self, connection: HTTPConnection) -> None:
        """What connects over TCP has proved its address, also for OSC over UDP."""
        if connection.client:
            self._bridge.service.proofs.trust(connection.client.host)

    async def _websocket(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self._trust(websocket)
        subscriber = Subscriber(websocket, f"ws:{next(self._numbers)}")
        self._subscribers.add(subscriber)
        try:
            await subscriber.serve(self._bridge.service)
        finally:
            self._subscribers.discard(subscriber)

    def _value_changed(self, message: OscMessage) -> None:
        packet: bytes | None = None
        for subscriber in tuple(self._subscribers):
            if message.address in subscriber.paths:
                packet = packet or encode(message)
                subscriber.put(packet)

    def _table_changed(self, _: AddressTable) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber.put(msgspec.json.encode({"COMMAND": "PATH_CHANGED", "DATA": "/"}).decode())


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
