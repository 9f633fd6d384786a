"""A process that does one kind of work within limits, and the socket to it.

It is started as ``python -m MODULE``; what the module does there is in :mod:`.inside`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from server.messages import LENGTH_BYTES, encode, framed, length_of

__all__ = ["NICENESS", "Child", "ChildLost", "Poll", "nothing"]

T = TypeVar("T")
Poll = Callable[[], None]
"""Called several times a second while something is waited for; what it raises ends that."""

NICENESS: Final = 10
"""Rendering and decoding yield to the sound card and to the server."""
_LOWEST: Final = 19
_LOOK_S: Final = 0.05
_MAX_ANSWER: Final = 2**20


class ChildLost(Exception):
    """The process has died, is silent for too long, or says what nobody understands."""


def nothing() -> None:
    """Poll nothing."""


class Child:
    """A process that runs ``module``. Its socket is its standard input on POSIX.

    ``niceness`` is added to that of this process, before the child has imported anything.
    """

    def __init__(self, module: str, *arguments: str, niceness: int = NICENESS) -> None:
        self.connection, theirs = socket.socketpair()
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", module, *arguments]
        with theirs:
            on_windows = os.name == "nt"
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if on_windows else theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
            _make_nice(self._process.pid, niceness)
            if on_windows and self._process.stdin is not None:
                shared: Any = theirs  # this exists on Windows only
                with self._process.stdin as pipe:
                    pipe.write(shared.share(self._process.pid))
        self.connection.settimeout(_LOOK_S)

    @property
    def process_id(self) -> int:
        """Its number in the system."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def send(self, data: bytes) -> None:
        """Send what it reads next.

        Raises:
            ChildLost: it does not take it.
        """
        try:
            self.connection.settimeout(None)
            self.connection.sendall(data)
        except OSError as error:
            raise ChildLost from error
        finally:
            self.connection.settimeout(_LOOK_S)

    def asked(self, question: object, kind: type[T], patience_s: float, poll: Poll = nothing) -> T:
        """The ``kind`` with which it answers ``question``.

        Raises:
            ChildLost: it gives no such answer within ``patience_s``.
        """
        self.send(framed(encode(question)))
        try:
            answer = self.read_framed(_MAX_ANSWER, patience_s, poll)
            return msgspec.msgpack.decode(answer, type=kind)
        except msgspec.DecodeError as error:
            raise ChildLost from error

    def read_framed(self, most: int, patience_s: float, poll: Poll = nothing) -> bytes:
        """The next message.

        Raises:
            ChildLost: it has more than ``most`` bytes, or does not come within ``patience_s``.
        """
        size = length_of(self.read(LENGTH_BYTES, patience_s, poll))
        if size > most:
            raise ChildLost
        return self.read(size, patience_s, poll)

    def read(self, size: int, patience_s: float, poll: Poll = nothing) -> bytes:
        """The next ``size`` bytes."""
        data = bytearray(size)
        self.read_into(memoryview(data), patience_s, poll)
        return bytes(data)

    def read_into(self, place: memoryview, patience_s: float, poll: Poll = nothing) -> None:
        """Fill ``place`` with what comes next.

        Raises:
            ChildLost: it does not come within ``patience_s``.
        """
        deadline_s = time.monotonic() + patience_s
        while len(place):
            try:
                received = self.connection.recv_into(place)
            except TimeoutError:
                before_s = time.monotonic()
                poll()
                # Work that was done meanwhile is not the process's fault.
                deadline_s += time.monotonic() - before_s
                if time.monotonic() > deadline_s:
                    raise ChildLost from None
                continue
            except OSError as error:
                raise ChildLost from error
            if not received:
                raise ChildLost
            place = place[received:]

    def close(self) -> None:
        """End the process, whatever it does."""
        self.connection.close()
        self._process.kill()
        self._process.wait()


def _make_nice(process: int, niceness: int) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, process, min(own + niceness, _LOWEST))
