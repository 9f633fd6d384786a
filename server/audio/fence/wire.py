"""What a program and its decoding process say to each other, over a socket."""

from __future__ import annotations

import os
import socket
from typing import Any, Final

import msgspec

from server.audio.formats import FileFormat
from server.audio.metadata.carried import NO_METADATA, Metadata
from server.messages import LENGTH_BYTES, encode, framed, length_of, length_prefix

__all__ = ["Answer", "Ask", "Facts", "hand_over", "receive_ask", "send_part"]

_MAX_ASK: Final = 65536


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One question about a file, whose descriptor comes with it where the system can do that."""

    what: str
    """facts, check, clip, convert or stream."""
    path: str
    """Where it is opened where no descriptor comes with the question."""
    name: str = ""
    """What errors call it; its path where empty."""
    file_format: FileFormat = "wav24"
    """What ``convert`` makes of it."""
    sample_rate: int = 0
    """Rate of a ``stream``, in Hz."""

    @property
    def shown(self) -> str:
        """The file's name in errors."""
        return self.name or self.path


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a sound file says of itself, of which nothing was decoded."""

    frames: int
    sample_rate: int
    channels: int
    format: str
    sample_bytes: int
    """Bytes of a sample in memory, without loss."""
    recipe: str = ""
    speakers: int = 0
    """Channel mask; 0: none is named."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What comes before the bytes; an error comes alone."""

    code: str = ""
    error: str = ""
    facts: Facts | None = None
    file_format: FileFormat = "wav32f"
    metadata: Metadata = NO_METADATA
    exact: str = ""
    """Type of the clip's own samples, where float32 cannot hold them."""
    sha256: str = ""
    sizes: tuple[int, ...] = ()
    """Bytes that follow, of each array; a stream has blocks of any number instead."""


def hand_over(connection: socket.socket, ask: Ask, descriptor: int) -> None:
    """Send a question and the file that it is about."""
    message = framed(encode(ask))
    if os.name == "nt":
        connection.sendall(message)
    else:
        socket.send_fds(connection, [message], [descriptor])


def receive_ask(connection: socket.socket) -> tuple[Ask, int | None] | None:
    """The next question and a descriptor of its file; None when nobody asks any more."""
    if os.name == "nt":
        data, descriptors = connection.recv(_MAX_ASK), list[int]()
    else:
        data, descriptors, _, _ = socket.recv_fds(connection, _MAX_ASK, 1)
    while len(data) < LENGTH_BYTES or len(data) < LENGTH_BYTES + length_of(data[:LENGTH_BYTES]):
        if not (more := connection.recv(_MAX_ASK)):
            return None
        data += more
    ask = msgspec.msgpack.decode(data[LENGTH_BYTES:], type=Ask)
    return ask, next(iter(descriptors), None)


def send_part(connection: socket.socket, part: Any) -> None:
    """Send an answer, or a block of bytes, with its length in front."""
    data = encode(part) if isinstance(part, Answer) else part
    view = memoryview(data).cast("B")
    connection.sendall(length_prefix(len(view)))
    connection.sendall(view)
