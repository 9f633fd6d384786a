"""What a child process does: take its socket, limit itself, answer."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from server.messages import encode, framed, read_framed

__all__ = ["confine", "parents_socket", "questions", "reply"]

T = TypeVar("T")


def parents_socket() -> socket.socket:
    """The socket that the parent has handed over; Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.name == "nt":
        shared: Any = socket  # this exists on Windows only
        return socket.socket(fileno=shared.fromshare(sys.stdin.buffer.read()).detach())
    connection = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    return connection


def questions(connection: socket.socket, kind: type[T]) -> Iterator[T]:
    """What the parent asks, until it asks no more; each is answered with :func:`reply`."""
    stream = connection.makefile("rb")
    while (question := read_framed(stream)) is not None:
        yield msgspec.msgpack.decode(question, type=kind)


def reply(connection: socket.socket, answer: object) -> None:
    """Answer the question."""
    connection.sendall(framed(encode(answer)))


def confine(what: str, most: int) -> None:
    """Limit the memory of this process, and let it write no file.

    Args:
        what: ``RLIMIT_AS``; ``RLIMIT_DATA`` where libraries reserve space that they never touch.
        most: bytes of it.
    """
    _limit(what, most)
    _limit("RLIMIT_FSIZE", 0)
    _limit("RLIMIT_CORE", 0)


def _limit(what: str, value: int) -> None:
    """Set a limit of this process where the system has it."""
    with contextlib.suppress(ImportError, AttributeError, ValueError, OSError):
        import resource

        resource.setrlimit(getattr(resource, what), (value, value))
