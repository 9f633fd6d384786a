"""Protocol Buffers on the wire, as far as ONNX graphs need them: varints and byte strings.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["Value", "decode", "encode", "message"]

Value = int | bytes
_VARINT, _BYTES = 0, 2


def decode(content: bytes) -> Iterator[tuple[int, Value]]:
    """The fields of a message as (number, value), in their order.

    Raises:
        ValueError: a field of another wire type, or a truncated one.
    """
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        number, kind = tag >> 3, tag & 7
        value, place = _varint(content, place)
        if kind == _VARINT:
            yield number, value
            continue
        if kind != _BYTES or place + value > len(content):
            raise ValueError(f"field {number} has wire type {kind} or is truncated")
        yield number, content[place : place + value]
        place += value


def encode(number: int, value: Value | str) -> bytes:
    """One field.

    >>> encode(1, 300).hex(), encode(2, "ab").hex()
    ('08ac02', '12026162')
    """
    if isinstance(value, int):
        return _encode_varint(number << 3 | _VARINT) + _encode_varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _encode_varint(number << 3 | _BYTES) + _encode_varint(len(content)) + content


def message(fields: Iterable[tuple[int, Value | str]]) -> bytes:
    """A message of ``fields``."""
    return b"".join(encode(number, value) for number, value in fields)


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(content) or shift > 63:
            raise ValueError("a truncated number")
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


def _encode_varint(value: int) -> bytes:
    value &= 2**64 - 1  # negative numbers are written as their two's complement
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
