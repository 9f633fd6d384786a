"""OSC over TCP: both framings on one port, distinguished by the first byte."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Final

from osc_bridge.service.client_table import Sender, is_loopback
from osc_bridge.service.service import Service
from osc_bridge.service.udp import port_refused
from osc_bridge.wire.framing import MAX_FRAME, Framing, SlipFraming, framing_for
from server.errors import AudioLDMError

__all__ = ["TcpServer"]

log = logging.getLogger("audioldm.osc.tcp")

MAX_CONNECTIONS: Final = 64
_SLICE_S: Final = 0.005
_MAX_UNREAD: Final = 8 * MAX_FRAME
"""Bytes of unread replies after which a client is disconnected."""


class TcpServer:
    """Receives packets for a service from TCP connections. Use :meth:`open`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._server: asyncio.Server | None = None
        self.connections: set[_Connection] = set()

    @classmethod
    async def open(cls, service: Service, host: str, port: int) -> TcpServer:
        """Listen on ``host``:``port`` (0: any free port).

        Raises:
            DeviceError: the port is taken, or the address is not one of this machine.
        """
        tcp = cls(service)
        try:
            tcp._server = await asyncio.get_running_loop().create_server(
                lambda: _Connection(service, tcp.connections), host, port
            )
        except OSError as error:
            raise port_refused("TCP", host, port, error) from error
        return tcp

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and close all connections."""
        if self._server is not None:
            self._server.close()
            for connection in tuple(self.connections):
                connection.close()
            await self._server.wait_closed()
            await asyncio.sleep(0)


class _Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, service: Service, connections: set[_Connection]) -> None:
        self._service = service
        self._connections = connections
        self._framing: Framing | None = None
        self._packets: deque[bytes] = deque()
        self._paused = False
        self._transport: asyncio.Transport | None = None
        self._sender = Sender("tcp:", self._send)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = transport.get_extra_info("peername")[:2]
        self._sender = Sender(f"tcp:{host}:{port}", self._send, is_local=is_loopback(host))
        self._connections.add(self)
        if len(self._connections) > MAX_CONNECTIONS:
            log.warning("%s: more than %d connections", self._sender.key, MAX_CONNECTIONS)
            self.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._framing = self._framing or framing_for(data)
            packets = self._framing.feed(data)
        except AudioLDMError as error:
            self._framing = self._framing or SlipFraming()
            self._service.report(self._service.clients.of(self._sender), error)
            self.close()
            return
        self._packets.extend(packets)
        self._handle_packets()

    def _handle_packets(self) -> None:
        """Handle packets for a few milliseconds, then let the event loop serve others."""
        assert self._transport is not None
        until_s = time.monotonic() + _SLICE_S
        while self._packets and not self._transport.is_closing():
            self._service.receive(self._packets.popleft(), self._sender, MAX_FRAME)
            if time.monotonic() > until_s:
                break
        if self._transport.is_closing():
            self._packets.clear()
        elif self._packets and not self._paused:
            self._transport.pause_reading()
        elif not self._packets and self._paused:
            self._transport.resume_reading()
        self._paused = bool(self._packets)
        if self._packets:
            asyncio.get_running_loop().call_soon(self._handle_packets)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._service.clients.forget(self._sender.key)

    def close(self) -> None:
        """Close the connection when everything has been sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self, packet: bytes) -> None:
        if self._transport is None or self._framing is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > _MAX_UNREAD:
            log.warning("%s does not read its replies", self._sender.key)
            self.abort()
            return
        self._transport.write(self._framing.frame(packet))
