"""Accepts connections on a port, also when the process has no descriptor left.

asyncio's own server logs each failed ``accept`` with its traceback, thousands of times a second.
Here a spare descriptor is kept. When none is left, it is given up for a moment, so that the
connection can be taken and closed instead of waiting for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable
from typing import Final

from server.net.connections import Connections
from server.supervision import SupervisedTask

__all__ = ["Listener", "listening_socket"]

log = logging.getLogger("audioldm.net")

_NO_RESOURCES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_S: Final = 0.05
_BACKLOG: Final = 256


class Listener:
    """Accepts connections until it is closed.

    Args:
        listening: a socket from :func:`listening_socket`.
        make_protocol: makes the protocol of a connection, which puts itself in ``connections``.
        connections: the limits.
        name: of the port, for the log.
        refusal: what a connection is sent for which there is no room.
    """

    def __init__(
        self,
        listening: socket.socket,
        make_protocol: Callable[[], asyncio.BaseProtocol],
        connections: Connections,
        name: str,
        refusal: bytes = b"",
    ) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._make_protocol = make_protocol
        self._connections = connections
        self._name = name
        self._refusal = refusal
        self._spare = _open_spare()
        self._tasks = (
            SupervisedTask(f"{name}: accepting", self._accept_all),
            SupervisedTask(f"{name}: time limits", connections.sweep),
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listening.getsockname()[1])

    async def close(self) -> None:
        """Stop accepting; open connections stay."""
        for task in self._tasks:
            await task.stop()
        self._listening.close()
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    async def _accept_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listening)
            except OSError as error:
                await self._accept_failed(error)
                continue
            if not self._connections.admit(str(address[0])):
                self._turn_away(connection)
                continue
            try:
                await loop.connect_accepted_socket(self._make_protocol, connection)
            except OSError as error:
                connection.close()
                log.debug("%s: a connection ended at its start: %s", self._name, error)

    async def _accept_failed(self, error: OSError) -> None:
        if error.errno in _NO_RESOURCES:
            log.warning("%s: no connection can be accepted: %s", self._name, error.strerror)
            self._connections.make_room()
            self._use_spare()
        await asyncio.sleep(_PAUSE_S)

    def _use_spare(self) -> None:
        """Take the oldest waiting connection and close it, so that its client knows."""
        if self._spare < 0:
            self._spare = _open_spare()
            return
        os.close(self._spare)
        with contextlib.suppress(OSError):
            self._turn_away(self._listening.accept()[0])
        self._spare = _open_spare()

    def _turn_away(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.setblocking(False)
            if self._refusal:
                connection.send(self._refusal)
        connection.close()


def listening_socket(host: str, port: int) -> socket.socket:
    """A listening socket without Nagle's algorithm.

    Raises:
        OSError: the address is in use or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only with an explicit TCP protocol asyncio turns off Nagle's algorithm, which costs 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _open_spare() -> int:
    try:
        return os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return -1
