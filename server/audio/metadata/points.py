"""Positions in metadata, moved with the sound that they belong to.

Formats: RIFF MCI (``cue``, ``plst``, ``adtl``), the MMA's sampler chunk, EBU Tech 3285 (``bext``),
EBU Tech 3306 (``r64m``), iXML 2.0, and ACID's chunk as other programs write it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from server.audio.metadata.riff import Chunk, joined, parts

__all__ = ["Move", "moved_chunk", "starts_too_early"]

_BEXT_TIME: Final = 338
"""Place of the time reference in ``bext``."""
_IXML_CLOCKS: Final = (
    (b"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI", b"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO"),
    (b"BWF_TIME_REFERENCE_HIGH", b"BWF_TIME_REFERENCE_LOW"),
)
_IXML_RATES: Final = (b"FILE_SAMPLE_RATE", b"TIMESTAMP_SAMPLE_RATE", b"DIGITIZER_SAMPLE_RATE")
_R64M_ENTRY: Final = 320
_LAST: Final = 2**32 - 1


@dataclass(frozen=True)
class Move:
    """How positions change: first by the ratio of the rates, then by a number of frames."""

    shift: int = 0
    """Frames by which the sound begins later in its file; negative after a cut."""
    ratio: float = 1.0
    """New sample rate divided by the old one."""
    frames: int = _LAST
    """Frames of the new sound; positions outside are moved to its nearer end."""
    stretch: float = 1.0
    """New length divided by the old one, in seconds."""

    def place(self, position: int) -> int:
        """Where the sound at frame ``position`` is now."""
        return min(max(round(position * self.ratio) + self.shift, 0), self.frames)

    def length(self, frames: int) -> int:
        """The new length of a region of ``frames`` frames."""
        return min(round(frames * self.ratio), self.frames)

    def clock(self, time: int) -> int:
        """The new time of day of the first frame, in frames since midnight."""
        return max(0, round(time * self.ratio) - self.shift)


def moved_chunk(chunk: Chunk, move: Move) -> Chunk:
    """``chunk`` with its positions moved; as it is where it has none or is damaged."""
    change = _MOVERS.get(chunk.id)
    if change is None:
        return chunk
    try:
        return Chunk(chunk.id, change(chunk.data, move))
    except (struct.error, ValueError, OverflowError):
        return chunk


def starts_too_early(chunk: Chunk, move: Move) -> bool:
    """True where sound was added before a time of day that lies too near to midnight."""
    if chunk.id != b"bext" or len(chunk.data) < _BEXT_TIME + 8:
        return False
    time: int = struct.unpack_from("<Q", chunk.data, _BEXT_TIME)[0]
    return time > 0 and round(time * move.ratio) < move.shift


def _cue(data: bytes, move: Move) -> bytes:
    out = bytearray(data)
    (count,) = struct.unpack_from("<I", data)
    for at in range(4, min(4 + 24 * count, len(data) - 23), 24):
        played, _, _, _, offset = struct.unpack_from("<I4sIII", data, at + 4)
        struct.pack_into("<I", out, at + 4, move.place(played))
        struct.pack_into("<I", out, at + 20, move.place(offset))
    return bytes(out)


def _smpl(data: bytes, move: Move) -> bytes:
    out = bytearray(data)
    period, loops = struct.unpack_from("<I", data, 8)[0], struct.unpack_from("<I", data, 28)[0]
    struct.pack_into("<I", out, 8, min(_LAST, round(period / move.ratio)))
    last = max(0, move.frames - 1)
    for at in range(36, min(36 + 24 * loops, len(data) - 23), 24):
        start, end = struct.unpack_from("<II", data, at + 8)
        struct.pack_into("<II", out, at + 8, *(min(move.place(p), last) for p in (start, end)))
    return bytes(out)


def _acid(data: bytes, move: Move) -> bytes:
    kind, beats = struct.unpack_from("<I", data)[0], struct.unpack_from("<I", data, 12)[0]
    if kind & 1:  # a one-shot has no beats
        return data
    out = bytearray(data)
    struct.pack_into("<I", out, 12, min(_LAST, round(beats * move.stretch)))
    return bytes(out)


def _bext(data: bytes, move: Move) -> bytes:
    out = bytearray(data)
    (time,) = struct.unpack_from("<Q", data, _BEXT_TIME)
    struct.pack_into("<Q", out, _BEXT_TIME, move.clock(time))
    return bytes(out)


def _ixml(data: bytes, move: Move) -> bytes:
    for high, low in _IXML_CLOCKS:
        values = [_xml_number(data, name) for name in (high, low)]
        if values[1] is not None:
            time = move.clock(((values[0] or 0) << 32) + values[1])
            data = _with_xml_number(data, high, time >> 32)
            data = _with_xml_number(data, low, time & _LAST)
    for name in _IXML_RATES:
        rate = _xml_number(data, name)
        if rate is not None:
            data = _with_xml_number(data, name, round(rate * move.ratio))
    return data


def _xml_number(data: bytes, name: bytes) -> int | None:
    found = re.search(rb"<%s>\s*(\d{1,20})\s*</%s>" % (name, name), data)
    return int(found[1]) if found else None


def _with_xml_number(data: bytes, name: bytes, value: int) -> bytes:
    text = b"<%s>%d</%s>" % (name, value, name)
    return re.sub(rb"<%s>\s*\d{1,20}\s*</%s>" % (name, name), text, data)


def _list(data: bytes, move: Move) -> bytes:
    if data[:4] != b"adtl":
        return data
    return b"adtl" + joined([_label(chunk, move) for chunk in parts(data[4:])])


def _label(chunk: Chunk, move: Move) -> Chunk:
    """A label; of a text with a length, the length is moved too."""
    if chunk.id != b"ltxt" or len(chunk.data) < 8:
        return chunk
    length = struct.pack("<I", move.length(struct.unpack_from("<I", chunk.data, 4)[0]))
    return Chunk(chunk.id, chunk.data[:4] + length + chunk.data[8:])


def _plst(data: bytes, move: Move) -> bytes:
    out = bytearray(data)
    (count,) = struct.unpack_from("<I", data)
    for at in range(4, min(4 + 12 * count, len(data) - 11), 12):
        length = struct.unpack_from("<I", data, at + 4)[0]
        struct.pack_into("<I", out, at + 4, move.length(length))
    return bytes(out)


def _r64m(data: bytes, move: Move) -> bytes:
    out = bytearray(data)
    for at in range(0, len(data) - _R64M_ENTRY + 1, _R64M_ENTRY):
        (place,) = struct.unpack_from("<Q", data, at + 4)
        struct.pack_into("<Q", out, at + 4, move.place(place))
    return bytes(out)


_MOVERS: Final[dict[bytes, Callable[[bytes, Move], bytes]]] = {
    b"cue ": _cue,
    b"smpl": _smpl,
    b"acid": _acid,
    b"bext": _bext,
    b"iXML": _ixml,
    b"LIST": _list,
    b"plst": _plst,
    b"r64m": _r64m,
}
