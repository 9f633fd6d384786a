"""Packets to the server and back, over UDP or TCP."""

from __future__ import annotations

import socket
import time
from collections import deque
from typing import Protocol

from osc_bridge.wire.codec import MAX_DATAGRAM
from osc_bridge.wire.framing import LengthFraming
from server.errors import EngineUnavailable

__all__ = ["PacketTransport", "TcpTransport", "UdpTransport"]


class PacketTransport(Protocol):
    """Sends and receives whole packets."""

    def send(self, packet: bytes) -> None:
        """Send one packet.

        Raises:
            EngineUnavailable: the connection is gone.
        """

    def receive(self, deadline: float) -> bytes | None:
        """The next packet; None where none has come by ``deadline`` (monotonic seconds).

        Raises:
            EngineUnavailable: the connection is gone.
        """

    def close(self) -> None:
        """Close the connection."""


class UdpTransport:
    """One datagram a packet; a server that is not running is noticed by its silence only."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.connect((host, port))

    def send(self, packet: bytes) -> None:
        """See :class:`PacketTransport`."""
        try:
            self._socket.send(packet)
        except ConnectionRefusedError:
            self._socket.send(packet)  # the refusal was about an earlier datagram

    def receive(self, deadline: float) -> bytes | None:
        """See :class:`PacketTransport`."""
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                return self._socket.recv(MAX_DATAGRAM)
            except TimeoutError:
                return None
            except ConnectionRefusedError:
                time.sleep(min(0.05, max(0.0, deadline - time.monotonic())))
        return None

    def close(self) -> None:
        """See :class:`PacketTransport`."""
        self._socket.close()


class TcpTransport:
    """A TCP stream, with the length before each packet (OSC 1.0).

    Raises:
        EngineUnavailable: nobody listens at this port.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout=5)
        except OSError as error:
            raise EngineUnavailable(
                f"nobody answers at tcp {host}:{port} ({error}); start audioldm-daw"
            ) from error
        self._framing = LengthFraming()
        self._packets: deque[bytes] = deque()

    def send(self, packet: bytes) -> None:
        """See :class:`PacketTransport`."""
        try:
            self._socket.settimeout(30)
            self._socket.sendall(LengthFraming.frame(packet))
        except OSError as error:
            raise EngineUnavailable(f"the connection is gone: {error}") from error

    def receive(self, deadline: float) -> bytes | None:
        """See :class:`PacketTransport`."""
        while not self._packets:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                return None
            except OSError as error:
                raise EngineUnavailable(f"the connection is gone: {error}") from error
            if not data:
                raise EngineUnavailable("the server has hung up")
            self._packets.extend(self._framing.feed(data))
        return self._packets.popleft()

    def close(self) -> None:
        """See :class:`PacketTransport`."""
        self._socket.close()
