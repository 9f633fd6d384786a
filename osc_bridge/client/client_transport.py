"""A client's end of the connection: packets out, packets in until a deadline."""

from __future__ import annotations

import socket
import time
from collections import deque
from typing import Protocol

from osc_bridge.wire.codec import MAX_DATAGRAM
from osc_bridge.wire.framing import LengthFraming
from server.errors import EngineUnavailable

__all__ = ["TcpWire", "UdpWire", "Wire"]


class Wire(Protocol):
    """What the client needs."""

    def send(self, packet: bytes) -> None:
        """Send one packet.

        Raises:
            EngineUnavailable: the connection is gone.
        """

    def receive(self, deadline: float) -> bytes | None:
        """The next packet; None if none has come when :func:`time.monotonic` reaches ``deadline``.

        Raises:
            EngineUnavailable: the connection is gone.
        """

    def close(self) -> None:
        """Hang up."""


class UdpWire:
    """Datagrams; who does not listen is noticed by silence."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.connect((host, port))

    def send(self, packet: bytes) -> None:
        """See :class:`Wire`."""
        try:
            self._socket.send(packet)
        except ConnectionRefusedError:
            self._socket.send(packet)  # the refusal was about an earlier datagram

    def receive(self, deadline: float) -> bytes | None:
        """See :class:`Wire`."""
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
        """See :class:`Wire`."""
        self._socket.close()


class TcpWire:
    """A stream, with a length before each packet."""

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
        """See :class:`Wire`."""
        try:
            self._socket.settimeout(30)
            self._socket.sendall(LengthFraming.frame(packet))
        except OSError as error:
            raise EngineUnavailable(f"the connection is gone: {error}") from error

    def receive(self, deadline: float) -> bytes | None:
        """See :class:`Wire`."""
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
        """See :class:`Wire`."""
        self._socket.close()
