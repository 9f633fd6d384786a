"""A process that does one kind of work within limits, and the socket to it.

It is started as ``python -m MODULE``; the module takes the socket with :func:`parents_socket`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["NICENESS", "Child", "ChildLost", "Poll", "limit", "nothing", "parents_socket"]

Poll = Callable[[], None]
"""Called several times a second while something is waited for; what it raises ends that."""

NICENESS: Final = 10
_LOOK_S: Final = 0.05


class ChildLost(Exception):
    """The process has died, or is silent for too long."""


def nothing() -> None:
    """Poll nothing."""


class Child:
    """A process that runs ``module``. Its socket is its standard input on POSIX."""

    def __init__(self, module: str, *arguments: str) -> None:
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
            if on_windows and self._process.stdin is not None:
                shared: Any = theirs  # this exists on Windows only
                with self._process.stdin as pipe:
                    pipe.write(shared.share(self._process.pid))
        self.connection.settimeout(_LOOK_S)

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


def parents_socket() -> socket.socket:
    """The socket that the parent has handed over; Ctrl-C is the parent's business.

    As rendering does, this process yields to the sound card and to the server.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    if os.name == "nt":
        shared: Any = socket  # this exists on Windows only
        return socket.socket(fileno=shared.fromshare(sys.stdin.buffer.read()).detach())
    connection = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    return connection


def limit(what: str, value: int) -> None:
    """Set a limit of this process, such as ``RLIMIT_AS``, where the system has it."""
    with contextlib.suppress(ImportError, AttributeError, ValueError, OSError):
        import resource

        resource.setrlimit(getattr(resource, what), (value, value))
