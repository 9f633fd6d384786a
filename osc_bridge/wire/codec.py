"""OSC packets from bytes and back, also from hostile senders.

Encoding is python-osc's. The decoder is our own, because parsing must take linear time. That of
python-osc loops for ever on a bundle element of negative size and copies the rest of the datagram
for each argument. It recurses into nested bundles, raises UnicodeDecodeError and drops unknown type
tags. Tests compare the two on well-formed packets.

>>> encode(OscMessage("/ldm/ping", (1,)))
b'/ldm/ping\\x00\\x00\\x00,i\\x00\\x00\\x00\\x00\\x00\\x01'
>>> decode(encode(OscMessage("/ldm/ping", (1,))))
[Packet(message=OscMessage('/ldm/ping', 1), when_s=None)]
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pythonosc.osc_message_builder import OscMessageBuilder

from server.errors import InvalidRequest, TooLarge

__all__ = [
    "MAX_ADDRESS",
    "MAX_ARGUMENTS",
    "MAX_DATAGRAM",
    "MAX_DEPTH",
    "MAX_MESSAGES",
    "Argument",
    "OscMessage",
    "Packet",
    "decode",
    "encode",
    "encode_bundle",
]

MAX_DATAGRAM: Final = 65507
"""Size of the largest UDP datagram."""
MAX_ADDRESS: Final = 255
MAX_ARGUMENTS: Final = 512
MAX_MESSAGES: Final = 256
"""Messages in one bundle, nested ones included."""
MAX_DEPTH: Final = 8
"""Bundles in bundles, arrays in arrays."""

Argument = Any
"""int, float, str, bytes, bool, None or a list of these."""

_MESSAGE_BYTES: Final = 1024
"""A message that waits, without its arguments: objects and what is called with it."""
_ARGUMENT_BYTES: Final = 64
_BUNDLE: Final = b"#bundle\0"
_NTP_TO_UNIX_S: Final = 2_208_988_800
_IMMEDIATELY: Final = 1
_PATTERN: Final = frozenset("*?[]{}")
_FORBIDDEN: Final = frozenset(" #,")


class OscMessage:
    """An address and its arguments."""

    __slots__ = ("address", "arguments")

    def __init__(self, address: str, arguments: Sequence[Argument] = ()) -> None:
        self.address = address
        self.arguments = tuple(arguments)

    @property
    def size(self) -> int:
        """Bytes of memory that it takes, about."""
        return _MESSAGE_BYTES + sum(map(_size, self.arguments))

    def __repr__(self) -> str:
        return f"OscMessage({', '.join(map(repr, (self.address, *self.arguments)))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OscMessage) and (self.address, self.arguments) == (
            other.address,
            other.arguments,
        )

    def __hash__(self) -> int:
        return hash((self.address, self.arguments))


def _size(argument: Argument) -> int:
    if isinstance(argument, list | tuple):
        return _ARGUMENT_BYTES + sum(map(_size, argument))
    return _ARGUMENT_BYTES + (len(argument) if isinstance(argument, str | bytes) else 0)


class Packet(NamedTuple):
    """A message and its time in Unix seconds; None for at once."""

    message: OscMessage
    when_s: float | None


def encode(message: OscMessage) -> bytes:
    """Encode a message; integers beyond 32 bits become ``h``, bytes a blob."""
    builder = OscMessageBuilder(address=message.address)
    for argument in message.arguments:
        builder.add_arg(argument)
    datagram: bytes = builder.build().dgram
    return datagram


def encode_bundle(messages: Sequence[OscMessage], when_s: float | None = None) -> bytes:
    """Encode a bundle for the time ``when_s`` in Unix seconds (None: at once)."""
    elements = (encode(message) for message in messages)
    sized = b"".join(struct.pack(">i", len(element)) + element for element in elements)
    if when_s is None:
        return _BUNDLE + struct.pack(">Q", _IMMEDIATELY) + sized
    return _BUNDLE + struct.pack(">Q", int((when_s + _NTP_TO_UNIX_S) * 2**32)) + sized


def decode(data: bytes, max_bytes: int = MAX_DATAGRAM) -> list[Packet]:
    """Decode the messages of a packet, in order, each with the time of its bundle.

    Raises:
        InvalidRequest: not OSC, an address pattern, an unknown type tag, text that is not UTF-8.
        TooLarge: more bytes, messages, arguments or nesting than is accepted.
    """
    if len(data) > max_bytes:
        raise TooLarge(f"the packet has {len(data)} bytes; at most {max_bytes} are accepted")
    packets: list[Packet] = []
    # (start, end, when, depth): not recursive, so that nesting cannot exhaust Python's stack.
    pending: list[tuple[int, int, float | None, int]] = [(0, len(data), None, 0)]
    while pending:
        start, end, when_s, depth = pending.pop()
        if data.startswith(_BUNDLE, start, end):
            if depth >= MAX_DEPTH:
                raise TooLarge(f"bundles are nested more than {MAX_DEPTH} deep")
            elements = _elements(data, start, end, depth)
            if len(packets) + len(pending) + len(elements) > MAX_MESSAGES:
                raise TooLarge(f"the bundle holds more than {MAX_MESSAGES} messages")
            pending.extend(reversed(elements))
        else:
            packets.append(Packet(_message(data, start, end), when_s))
    return packets


def _elements(
    data: bytes, start: int, end: int, depth: int
) -> list[tuple[int, int, float | None, int]]:
    """Start, end, time and depth of each element of the bundle at ``start``."""
    at = start + 16
    if at > end:
        raise InvalidRequest("the bundle ends before its time tag")
    (timetag,) = struct.unpack_from(">Q", data, start + 8)
    when_s = None if timetag <= _IMMEDIATELY else timetag / 2**32 - _NTP_TO_UNIX_S
    found: list[tuple[int, int, float | None, int]] = []
    while at < end:
        if at + 4 > end:
            raise InvalidRequest("the bundle ends within an element's size")
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if size <= 0 or size % 4 or at + size > end:
            raise InvalidRequest(f"a bundle element claims {size} bytes; {end - at} are left")
        found.append((at, at + size, when_s, depth + 1))
        if len(found) > MAX_MESSAGES:
            raise TooLarge(f"the bundle holds more than {MAX_MESSAGES} messages")
        at += size
    return found


def _message(data: bytes, start: int, end: int) -> OscMessage:
    address, at = _string(data, start, end, "address")
    _check_address(address)
    if at >= end:
        return OscMessage(address)  # old senders leave out the type tags of an empty message
    tags, at = _string(data, at, end, "type tags")
    if not tags.startswith(","):
        raise InvalidRequest(f"{address}: the type tags must start with a comma")
    if len(tags) > MAX_ARGUMENTS:
        raise TooLarge(f"{address}: more than {MAX_ARGUMENTS} arguments")
    return OscMessage(address, _arguments(data, at, end, tags[1:], address))


def _check_address(address: str) -> None:
    if not address.startswith("/") or not address.isascii() or not address.isprintable():
        raise InvalidRequest("an OSC message starts with an address such as /ldm/ping")
    if len(address) > MAX_ADDRESS:
        raise TooLarge(f"the address has {len(address)} characters; at most {MAX_ADDRESS}")
    if not _PATTERN.isdisjoint(address):
        raise InvalidRequest("address patterns (* ? [] {}) are not accepted; name one address")
    if not _FORBIDDEN.isdisjoint(address):
        raise InvalidRequest("an address holds no space, # or comma")


def _arguments(data: bytes, at: int, end: int, tags: str, address: str) -> list[Argument]:
    stack: list[list[Argument]] = [[]]
    for tag in tags:
        if tag == "[":
            if len(stack) > MAX_DEPTH:
                raise TooLarge(f"{address}: arrays are nested more than {MAX_DEPTH} deep")
            stack[-1].append([])
            stack.append(stack[-1][-1])
        elif tag == "]":
            if len(stack) == 1:
                raise InvalidRequest(f"{address}: an array is closed that was never opened")
            stack.pop()
        elif tag in _CONSTANTS:
            stack[-1].append(_CONSTANTS[tag])
        elif tag in _FIXED:
            value, at = _fixed(data, at, end, tag)
            stack[-1].append(value)
        elif tag in "sS":
            text, at = _string(data, at, end, "string")
            stack[-1].append(text)
        elif tag == "b":
            blob, at = _blob(data, at, end)
            stack[-1].append(blob)
        else:
            raise InvalidRequest(f"{address}: type tag {tag!r} is not understood")
    if len(stack) != 1:
        raise InvalidRequest(f"{address}: an array is never closed")
    return stack[0]


_CONSTANTS: Final = {"T": True, "F": False, "N": None, "I": True}
"""Control surfaces send ``I`` (impulse) for a bang."""
_FIXED: Final = {
    "i": struct.Struct(">i"),
    "h": struct.Struct(">q"),
    "f": struct.Struct(">f"),
    "d": struct.Struct(">d"),
    "t": struct.Struct(">Q"),
    "r": struct.Struct(">I"),
    "m": struct.Struct(">4s"),
    "c": struct.Struct(">i"),
}


def _fixed(data: bytes, at: int, end: int, tag: str) -> tuple[Argument, int]:
    form = _FIXED[tag]
    if at + form.size > end:
        raise InvalidRequest("the message ends within an argument")
    (value,) = form.unpack_from(data, at)
    return (_shortest(value) if tag == "f" else value), at + form.size


def _shortest(value: float) -> float:
    """The shortest decimal that is this 32-bit float, so that 0.1 is read as 0.1."""
    if value.is_integer() or not math.isfinite(value):
        return value
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if struct.pack(">f", short) == struct.pack(">f", value):
            return short
    return value


def _string(data: bytes, at: int, end: int, what: str) -> tuple[str, int]:
    stop = data.find(b"\0", at, end)
    if stop < 0:
        raise InvalidRequest(f"the {what} has no end")
    following = at + ((stop - at) // 4 + 1) * 4
    if following > end:
        raise InvalidRequest(f"the {what} is not padded to four bytes")
    try:
        return data[at:stop].decode("utf-8"), following
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the {what} is not UTF-8 text") from error


def _blob(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    size, start = _fixed(data, at, end, "i")
    if size < 0 or start + size > end:
        raise InvalidRequest(f"a blob claims {size} bytes; {end - start} are left")
    return data[start : start + size], start + -(-size // 4) * 4
