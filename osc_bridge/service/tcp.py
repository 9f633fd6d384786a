"""OSC over TCP: both framings on one port, distinguished by the first byte."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from typing import Final

from osc_bridge.service.client_table import Sender
from osc_bridge.service.service import Service
from osc_bridge.service.udp import port_refused
from osc_bridge.wire.framing import MAX_FRAME, Framing, SlipFraming, framing_for
from server.errors import AudioLDMError
from server.logs import OncePerSecond
from server.net.connections import Connections, Patience
from server.net.limits import ConnectionLimits, is_loopback
from server.net.listener import Listener, listening_socket

__all__ = ["MAX_CONNECTIONS", "MAX_UNREAD", "TcpServer"]

log = logging.getLogger("audioldm.osc.tcp")
log.addFilter(OncePerSecond())

MAX_CONNECTIONS: Final = 64
MAX_UNREAD: Final = 4 * MAX_FRAME
"""Bytes of unread replies after which a client is disconnected."""
_SLICE_S: Final = 0.005


class TcpServer:
    """Receives packets for a service from TCP connections. Use :meth:`open`."""

    def __init__(self, service: Service, limits: ConnectionLimits | None = None) -> None:
        self._service = service
        self._listener: Listener | None = None
        self._limited = Connections(limits or ConnectionLimits(total=MAX_CONNECTIONS), "OSC")
        self.connections: set[_Connection] = set()

    @classmethod
    async def open(
        cls, service: Service, host: str, port: int, limits: ConnectionLimits | None = None
    ) -> TcpServer:
        """Listen on ``host``:``port`` (0: any free port).

        Raises:
            DeviceError: the port is taken, or the address is not one of this machine.
        """
        tcp = cls(service, limits)
        try:
            listening = listening_socket(host, port)
        except OSError as error:
            raise port_refused("TCP", host, port, error) from error
        tcp._listener = Listener(listening, tcp._connection, tcp._limited, "OSC over TCP")
        return tcp

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._listener is not None
        return self._listener.port

    async def close(self) -> None:
        """Stop listening and close all connections."""
        if self._listener is not None:
            await self._listener.close()
            for connection in tuple(self.connections):
                connection.close()
            await asyncio.sleep(0)

    def _connection(self) -> _Connection:
        return _Connection(self._service, self.connections, self._limited)


class _Connection(asyncio.Protocol):
    """One connection."""

    def __init__(
        self, service: Service, connections: set[_Connection], limited: Connections
    ) -> None:
        self._service = service
        self._connections = connections
        self._limited = limited
        self._framing: Framing | None = None
        self._packets: deque[bytes] = deque()
        self._paused = False
        self._unread = False
        self._scheduled = False
        self._heard_s = 0.0
        self._patience = Patience()
        self._transport: asyncio.Transport | None = None
        self._sender = Sender("tcp:", self._send)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = transport.get_extra_info("peername")[:2]
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._sender = Sender(f"tcp:{host}:{port}", self._send, is_local=is_loopback(host))
        self._connections.add(self)
        self._limited.put(transport, self)
        self._service.proofs.trust(host)

    def data_received(self, data: bytes) -> None:
        try:
            self._framing = self._framing or framing_for(data)
            packets = self._framing.feed(data)
        except AudioLDMError as error:
            self._framing = self._framing or SlipFraming()
            self._service.report(self._service.clients.of(self._sender), error)
            self.close()
            return
        if packets:
            self._heard_s = time.monotonic()
        self._packets.extend(packets)
        self._handle_packets()

    def pause_writing(self) -> None:
        """The client does not read its replies: nothing more of it is handled until it does."""
        self._unread = True

    def resume_writing(self) -> None:
        """The client reads again."""
        self._unread = False
        self._handle_soon()

    def _handle_packets(self) -> None:
        """Handle packets for a few milliseconds, then let the event loop serve others."""
        assert self._transport is not None
        until_s = time.monotonic() + _SLICE_S
        while self._packets and not self._unread and not self._transport.is_closing():
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
        self._handle_soon()

    def _handle_soon(self) -> None:
        if self._packets and not self._unread and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._handle_scheduled)

    def _handle_scheduled(self) -> None:
        self._scheduled = False
        if not self._unread:
            self._handle_packets()

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._limited.drop(self._transport)
        self._packets.clear()
        self._connections.discard(self)
        self._service.clients.forget(self._sender.key)

    def dispensable(self, now: float) -> tuple[int, float] | None:
        """The silent ones go first: those that never spoke, those that wait for nothing."""
        client = self._service.clients.get(self._sender.key)
        rank = 0 if client is None else 1 + client.busy
        return rank, self._heard_s or self._patience.since

    def overdue(self, now: float) -> str:
        """See :class:`server.net.connections.Connection`."""
        assert self._transport is not None
        unread = self._transport.get_write_buffer_size()
        if self._patience.waited(unread, now) > self._limited.limits.stall_s and unread:
            return "it does not read its replies"
        return ""

    def cut(self) -> None:
        """See :class:`server.net.connections.Connection`."""
        self.abort()

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
        if self._transport.get_write_buffer_size() > MAX_UNREAD:
            log.warning("%s does not read its replies", self._sender.key)
            self.abort()
            return
        self._transport.write(self._framing.frame(packet))
