"""MessagePack as this program stores and sends it: paths are text, lengths stand in front.

stream.write(framed(encode(message)))
message = decoder(Message).decode(read_framed(stream))
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Final, TypeVar, overload

import msgspec

__all__ = [
    "LENGTH_BYTES",
    "decoder",
    "encode",
    "framed",
    "length_of",
    "length_prefix",
    "read_framed",
]

T = TypeVar("T")
_LENGTH: Final = struct.Struct("<I")

LENGTH_BYTES: Final = _LENGTH.size
"""Bytes of the length in front of a message."""
encode: Final = msgspec.msgpack.Encoder(enc_hook=str).encode
"""A value as MessagePack."""


@overload
def decoder(kind: type[T]) -> msgspec.msgpack.Decoder[T]: ...
@overload
def decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]: ...
def decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    """What reads a ``kind`` from the bytes of :data:`encode`."""
    return msgspec.msgpack.Decoder(kind, dec_hook=lambda kind, value: kind(value))


def length_prefix(size: int) -> bytes:
    """What stands in front of a message of ``size`` bytes."""
    return _LENGTH.pack(size)


def length_of(prefix: bytes) -> int:
    """How long the message after ``prefix`` is."""
    size: int = _LENGTH.unpack(prefix)[0]
    return size


def framed(message: bytes) -> bytes:
    """``message`` with its length in front."""
    return length_prefix(len(message)) + message


def read_framed(stream: BinaryIO) -> bytes | None:
    """The next message; None where the other end is gone."""
    prefix = stream.read(LENGTH_BYTES)
    if len(prefix) < LENGTH_BYTES:
        return None
    message = stream.read(size := length_of(prefix))
    return message if len(message) == size else None
