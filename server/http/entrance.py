"""The entrance of every application: each request and each WebSocket passes the same gate."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.errors import AudioLDMError, Unauthorized
from server.http.access import Caller, Gate
from server.http.io import error_answer
from server.http.streams import StreamSlots, hold_stream

__all__ = ["Entrance"]


class Entrance:
    """Asks the gate about every request and every WebSocket before ``app`` sees it.

    Args:
        app: what is behind the gate.
        gate: knows the clients.
        is_open: True for requests that need no token.
        streams: how many WebSockets and event streams may be open.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        is_open: Callable[[Scope], bool] = lambda scope: False,
        streams: StreamSlots | None = None,
    ) -> None:
        self._app = app
        self._gate = gate
        self._is_open = is_open
        self._streams = streams or StreamSlots()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        with ExitStack() as stack:
            state = scope.setdefault("state", {})
            state.update(stack=stack, streams=self._streams)
            try:
                state["client"] = self._admitted(scope)
                if scope["type"] == "websocket":
                    hold_stream(state)
            except AudioLDMError as error:
                await _refuse(error, scope, receive, send)
                return
            await self._app(scope, receive, send)

    def _admitted(self, scope: Scope) -> Caller | None:
        """The client; None on an open path without a token."""
        try:
            return self._gate.admit(dict(Headers(scope=scope).items()))
        except Unauthorized:
            if scope["type"] == "websocket" or not self._is_open(scope):
                raise
            return None


async def _refuse(error: AudioLDMError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the error; a WebSocket is refused before it is one, with the same answer."""
    if scope["type"] == "http":
        await error_answer(error)(scope, receive, send)
        return
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": str(error)[:120]})
        return
    response = error_answer(error)
    start = {"status": response.status_code, "headers": response.raw_headers}
    await send({"type": "websocket.http.response.start", **start})
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})
