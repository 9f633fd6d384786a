"""The protocols of a connection, HTTP and WebSocket, with their limits.

They are uvicorn's, told apart by what they are doing: waiting for a head, receiving a body, sending
an answer. Nothing is done for each request; :class:`~server.net.connections.Connections` asks once
a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Final

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from server.http.joined_writes import JoinedWrites
from server.http.strict import StrictConnection
from server.http.views import ErrorBody, ErrorView
from server.net.connections import Connections, Patience

__all__ = ["REFUSAL", "HttpConnection", "WebSocketConnection", "error_bytes"]

_STALLED_S: Final = 1.0
_PROGRESS_BYTES: Final = 1024
"""A body makes progress by at least this much in each time limit."""


class HttpConnection(H11Protocol):
    """An HTTP connection. The other arguments are uvicorn's."""

    def __init__(self, *arguments: Any, connections: Connections, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.conn: StrictConnection = StrictConnection()
        self._all = connections
        self._patience = Patience()
        self._received = 0
        self._received_s = time.monotonic()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by asyncio."""
        joined: Any = JoinedWrites(transport)
        self._all.put(joined, self)
        super().connection_made(joined)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self._all.drop(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._received += len(data)
        self._received_s = time.monotonic()
        super().data_received(data)

    def dispensable(self, now: float) -> tuple[int, float] | None:
        """See :class:`server.net.connections.Connection`."""
        match self._phase():
            case "head":
                return 0, self._patience.since
            case "idle":
                return 1, self._patience.since
            case "body":
                return (2, self._received_s) if now - self._received_s > _STALLED_S else None
            case "sending" if now - self._patience.since > _STALLED_S:
                return 3, self._patience.since
        return None

    def overdue(self, now: float) -> str:
        """See :class:`server.net.connections.Connection`."""
        phase, limits = self._phase(), self._all.limits
        waited = self._patience.waited((phase, self._progress(phase)), now)
        if phase == "head" and waited > limits.head_s:
            return f"no complete request in {limits.head_s:g} s"
        if phase == "body" and waited > limits.stall_s:
            return f"less than {_PROGRESS_BYTES} bytes of a body in {limits.stall_s:g} s"
        if phase == "sending" and waited > limits.stall_s:
            return f"nothing of an answer was read for {limits.stall_s:g} s"
        return ""

    def cut(self) -> None:
        """See :class:`server.net.connections.Connection`."""
        _end(self.transport)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is no HTTP, as JSON like all errors (called by uvicorn)."""
        conn = self.conn
        if conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(error_bytes(conn.refused_status, "bad_request", conn.refusal))
        self.transport.close()

    def _phase(self) -> str:
        conn = self.conn
        if self.transport.get_write_buffer_size():
            return "sending"
        if conn.waits_for_head:
            return "head" if conn.has_begun else "idle"
        if conn.their_state is h11.SEND_BODY:
            return "body" if self.transport.is_reading() else "working"
        return "working"

    def _progress(self, phase: str) -> object:
        if phase == "body":
            return self.conn.requests, self._received // _PROGRESS_BYTES
        return self.conn.requests, self.transport.get_write_buffer_size()


class WebSocketConnection(WSProtocol):
    """A WebSocket. The other arguments are uvicorn's."""

    def __init__(self, *arguments: Any, connections: Connections, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._all = connections
        self._patience = Patience()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by asyncio, and by uvicorn after the head of the request."""
        self._all.put(transport, self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self._all.drop(self.transport)
        with contextlib.suppress(KeyError):
            super().connection_lost(exc)

    def dispensable(self, now: float) -> tuple[int, float] | None:
        """See :class:`server.net.connections.Connection`."""
        waits = self.transport.get_write_buffer_size() and now - self._patience.since > _STALLED_S
        return (3, self._patience.since) if waits else None

    def overdue(self, now: float) -> str:
        """See :class:`server.net.connections.Connection`."""
        unread, stall_s = self.transport.get_write_buffer_size(), self._all.limits.stall_s
        waited = self._patience.waited(unread, now)
        closing = self.transport.is_closing() or self.close_sent
        if (unread or closing) and waited > stall_s:
            return f"nothing was read for {stall_s:g} s"
        return ""

    def cut(self) -> None:
        """See :class:`server.net.connections.Connection`."""
        _end(self.transport)


def error_bytes(status: int, code: str, sentence: str) -> bytes:
    """A whole answer, for connections that have no request."""
    content = msgspec.json.encode(ErrorBody(ErrorView(code, sentence)))
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Bad Request')}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + content


def _end(transport: asyncio.Transport) -> None:
    """Close a connection; what was not read is dropped."""
    if transport.get_write_buffer_size():
        transport.abort()
    else:
        transport.close()


_REASONS: Final = {
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
REFUSAL: Final = error_bytes(
    503, "unavailable", "too many connections are open; close some, or try again later"
)
