"""One WebSocket of an OSCQuery client: the addresses it listens to, and its queue of packets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from osc_bridge.service.client_table import Sender
from osc_bridge.service.service import Service
from osc_bridge.wire.framing import MAX_FRAME
from server.json_errors import NOT_JSON, without_bom
from server.logs import OncePerSecond
from server.net.limits import is_loopback

__all__ = ["Subscriber"]

log = logging.getLogger("audioldm.osc.websocket")
log.addFilter(OncePerSecond())

_MAX_UNSENT: Final = 4 * MAX_FRAME
"""Bytes that may wait for a slow WebSocket; beyond that it is closed."""


class Subscriber:
    """One open WebSocket.

    Args:
        websocket: the accepted connection.
        key: the client's name in the service.
    """

    def __init__(self, websocket: WebSocket, key: str) -> None:
        self.paths: set[str] = set()
        """Addresses whose changes are sent."""
        host = websocket.client.host if websocket.client else ""
        self._websocket = websocket
        self._sender = Sender(key, self.put, is_local=is_loopback(host))
        self._unsent: asyncio.Queue[bytes | str] = asyncio.Queue()
        self._unsent_bytes = 0
        self._fell_behind = asyncio.Event()

    def put(self, packet: bytes | str) -> None:
        """Queue a packet; a socket that does not read its packets is closed."""
        if self._unsent_bytes > _MAX_UNSENT:
            self._fell_behind.set()
            return
        self._unsent_bytes += len(packet)
        self._unsent.put_nowait(packet)

    async def serve(self, service: Service) -> None:
        """Send queued packets and hand received ones to ``service`` until either side closes."""
        tasks = {
            asyncio.create_task(self._send_all()),
            asyncio.create_task(self._receive_all(service)),
            asyncio.create_task(self._give_up()),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if error := task.exception():
                    log.warning("%s: the connection failed: %s", self._sender.key, error)
        finally:
            service.clients.forget(self._sender.key)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                packet = await self._unsent.get()
                if isinstance(packet, bytes):
                    await self._websocket.send_bytes(packet)
                else:
                    await self._websocket.send_text(packet)
                self._unsent_bytes -= len(packet)

    async def _give_up(self) -> None:
        """Return when the socket has fallen too far behind."""
        await self._fell_behind.wait()
        log.warning("%s does not read its packets", self._sender.key)

    async def _receive_all(self, service: Service) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                event = await self._websocket.receive()
                if event["type"] == "websocket.disconnect":
                    return
                if (packet := event.get("bytes")) is not None:
                    service.receive(packet, self._sender, MAX_FRAME)
                    await asyncio.sleep(0)  # others are served in between
                else:
                    self._command(event.get("text") or "", service)

    def _command(self, text: str, service: Service) -> None:
        """LISTEN or IGNORE; the OSCQuery proposal asks to ignore anything else.

        An address that nobody sends is not kept: there is no end of them.
        """
        try:
            command = msgspec.json.decode(without_bom(text), type=_Command)
        except NOT_JSON:
            return
        if command.COMMAND == "LISTEN" and command.DATA in service.table:
            self.paths.add(command.DATA)
        elif command.COMMAND == "IGNORE":
            self.paths.discard(command.DATA)


class _Command(msgspec.Struct):
    COMMAND: str
    DATA: str = ""
