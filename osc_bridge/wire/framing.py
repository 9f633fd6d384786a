"""Packets on a stream: with a length prefix (OSC 1.0), or in SLIP (OSC 1.1, RFC 1055).

Both refuse a packet above the size limit before its bytes are kept.

>>> frames = SlipFraming()
>>> frames.feed(SlipFraming.frame(b"/a") + SlipFraming.frame(b"/b")[:3])
[b'/a']
>>> LengthFraming().feed(LengthFraming.frame(b"/abc"))
[b'/abc']
"""

from __future__ import annotations

import struct
from typing import Final, Protocol

from server.errors import InvalidRequest, TooLarge

__all__ = ["MAX_FRAME", "Framing", "LengthFraming", "SlipFraming", "framing_for"]

MAX_FRAME: Final = 1024 * 1024
"""Largest packet on a stream, in bytes."""

_END, _ESC, _ESC_END, _ESC_ESC = b"\xc0", b"\xdb", b"\xdb\xdc", b"\xdb\xdd"


class Framing(Protocol):
    """Splits a stream into packets, and frames packets for it."""

    def feed(self, data: bytes) -> list[bytes]:
        """Add received bytes; returns the packets that are complete.

        Raises:
            TooLarge: a packet is above the limit.
            InvalidRequest: the framing is broken; the stream cannot be read further.
        """

    @staticmethod
    def frame(packet: bytes) -> bytes:
        """A packet as it is sent."""


class LengthFraming:
    """Four bytes of length before every packet."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """See :class:`Framing`."""
        self._buffer += data
        packets: list[bytes] = []
        at = 0
        while len(self._buffer) >= at + 4:
            (size,) = struct.unpack_from(">i", self._buffer, at)
            if not 0 < size <= MAX_FRAME:
                raise TooLarge(f"a packet of {size} bytes; at most {MAX_FRAME} are accepted")
            if len(self._buffer) < at + 4 + size:
                break
            packets.append(bytes(self._buffer[at + 4 : at + 4 + size]))
            at += 4 + size
        del self._buffer[:at]
        return packets

    @staticmethod
    def frame(packet: bytes) -> bytes:
        """See :class:`Framing`."""
        return struct.pack(">i", len(packet)) + packet


class SlipFraming:
    """END before and after every packet, END and ESC within it escaped."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """See :class:`Framing`."""
        *complete, rest = data.split(_END)
        packets: list[bytes] = []
        for piece in complete:
            self._keep(piece)
            if self._buffer:
                packets.append(_unescaped(bytes(self._buffer)))
                self._buffer.clear()
        self._keep(rest)
        return packets

    def _keep(self, piece: bytes) -> None:
        if len(self._buffer) + len(piece) > 2 * MAX_FRAME:
            raise TooLarge(f"a packet of more than {MAX_FRAME} bytes")
        self._buffer += piece

    @staticmethod
    def frame(packet: bytes) -> bytes:
        """See :class:`Framing`."""
        return _END + packet.replace(_ESC, _ESC_ESC).replace(_END, _ESC_END) + _END


def _unescaped(piece: bytes) -> bytes:
    first, *rest = piece.split(_ESC)
    parts = [first]
    for part in rest:
        if part[:1] not in (b"\xdc", b"\xdd"):
            raise InvalidRequest("a SLIP escape is followed by something else")
        parts.append((_END if part[:1] == b"\xdc" else _ESC) + part[1:])
    return b"".join(parts)


def framing_for(first: bytes) -> Framing:
    """The framing of a peer, from the first byte that it sends.

    A length starts with 0, for packets are smaller than 16 MB. SLIP starts with END, or from
    careless peers with the packet itself. Anything else is not OSC, such as the POST of a web page.

    Raises:
        InvalidRequest: neither framing.
    """
    if first[:1] == b"\0":
        return LengthFraming()
    if first[:1] in (_END, b"/", b"#"):
        return SlipFraming()
    raise InvalidRequest("this is an OSC port: packets come with a length (1.0) or as SLIP (1.1)")
