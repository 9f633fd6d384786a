"""OSC over UDP: one packet a datagram."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any, Final, cast

from osc_bridge.service.client_table import Sender
from osc_bridge.service.service import Service
from server.errors import AudioLDMError, DeviceError
from server.net.limits import is_loopback

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
        sender = self._sender(addr)
        if not sender.is_local:
            self._service.proofs.received(sender.host, len(data))
        self._service.receive(data, sender)

    def error_received(self, exc: Exception) -> None:
        """Count a reply that could not be delivered, because its client has gone."""
        self.undeliverable += 1
        log.debug("undeliverable: %s", exc)

    def _sender(self, addr: tuple[Any, ...]) -> Sender:
        host, is_local = str(addr[0]), is_loopback(addr[0])

        def transmit(data: bytes) -> None:
            if self._transport is not None and not self._transport.is_closing():
                self._transport.sendto(data, addr)

        def send(data: bytes) -> None:
            self._service.proofs.send(host, data, transmit)

        def at_port(port: int) -> Sender:
            return self._sender((addr[0], port, *addr[2:]))

        name = f"udp:{host}:{addr[1]}"
        return Sender(name, transmit if is_local else send, at_port, is_local, host)


def port_refused(protocol: str, host: str, port: int, error: OSError) -> AudioLDMError:
    """The error of a port that cannot be opened."""
    return DeviceError(
        f"{protocol} {host}:{port} cannot be opened ({error.strerror}); "
        "is another audioldm-daw running? Choose another with --osc-port or --http-port"
    )
