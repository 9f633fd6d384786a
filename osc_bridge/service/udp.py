"""OSC over UDP: one packet a datagram."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any, Final, cast

from osc_bridge.service.client_table import Sender, is_loopback
from osc_bridge.service.service import Service
from server.errors import AudioLDMError, DeviceError

__all__ = ["UdpServer"]

log = logging.getLogger("audioldm.osc.udp")

_RECEIVE_BUFFER: Final = 4 * 1024 * 1024
"""Requested size; the system may grant less (Linux: net.core.rmem_max)."""


class UdpServer(asyncio.DatagramProtocol):
    """Receives packets for a service from a UDP socket. Use :meth:`open`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._transport: asyncio.DatagramTransport | None = None
        self.undeliverable = 0
        """Number of replies that could not be delivered."""

    @classmethod
    async def open(cls, service: Service, host: str, port: int) -> UdpServer:
        """Listen on ``host``:``port`` (0: any free port).

        Raises:
            DeviceError: the port is taken, or the address is not one of this machine.
        """
        server = cls(service)
        try:
            await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: server, local_addr=(host, port)
            )
        except OSError as error:
            raise port_refused("UDP", host, port, error) from error
        return server

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    async def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the open socket (called by asyncio)."""
        # The loop's own class is no DatagramTransport by inheritance.
        self._transport = cast(asyncio.DatagramTransport, transport)
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER
        )

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Hand a packet to the service (called by asyncio)."""
        self._service.receive(data, self._sender(addr))

    def error_received(self, exc: Exception) -> None:
        """Count a reply that could not be delivered, because its client has gone."""
        self.undeliverable += 1
        log.debug("undeliverable: %s", exc)

    def _sender(self, addr: tuple[Any, ...]) -> Sender:
        def send(data: bytes) -> None:
            if self._transport is not None and not self._transport.is_closing():
                self._transport.sendto(data, addr)

        def at_port(port: int) -> Sender:
            return self._sender((addr[0], port, *addr[2:]))

        return Sender(f"udp:{addr[0]}:{addr[1]}", send, at_port, is_loopback(addr[0]))


def port_refused(protocol: str, host: str, port: int, error: OSError) -> AudioLDMError:
    """The error of a port that cannot be opened."""
    return DeviceError(
        f"{protocol} {host}:{port} cannot be opened ({error.strerror}); "
        "is another audioldm-daw running? Choose another with --osc-port or --http-port"
    )
