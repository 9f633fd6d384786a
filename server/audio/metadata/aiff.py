"""Markers, loops and names of AIFF files, as the RIFF chunks that say the same."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from server.audio.metadata.riff import Chunk, Chunks, joined

__all__ = ["from_aiff"]

_NAMES: Final = {b"NAME": b"INAM", b"AUTH": b"IART", b"(c) ": b"ICOP", b"ANNO": b"ICMT"}
_MAX_MARKERS: Final = 4096


def from_aiff(chunks: Chunks, sample_rate: int) -> tuple[Chunk, ...]:
    """The metadata of an AIFF file as RIFF chunks."""
    markers = list(_markers(chunks.first(b"MARK") or b""))
    found = [*_cues(markers), *_sampler(chunks.first(b"INST") or b"", markers, sample_rate)]
    names = {_NAMES[c.id]: c.data for c in reversed(chunks.found) if c.id in _NAMES and c.data}
    if names:
        entries = [Chunk(id, text.rstrip(b"\0") + b"\0") for id, text in names.items()]
        found.append(Chunk(b"LIST", b"INFO" + joined(entries)))
    tags = chunks.first(b"ID3 ")
    return (*found, *([Chunk(b"id3 ", tags)] if tags else []))


def _markers(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, frame and name of each marker."""
    at = 2
    for _ in range(min(int.from_bytes(data[:2], "big"), _MAX_MARKERS)):
        if at + 7 > len(data):
            return
        number, place, length = struct.unpack_from(">HIB", data, at)
        yield number, place, data[at + 7 : at + 7 + length]
        at += 7 + length + (1 - length % 2)


def _cues(markers: list[tuple[int, int, bytes]]) -> list[Chunk]:
    if not markers:
        return []
    points = [struct.pack("<II4sIII", n, place, b"data", 0, 0, place) for n, place, _ in markers]
    labels = [Chunk(b"labl", struct.pack("<I", n) + name + b"\0") for n, _, name in markers if name]
    cue = Chunk(b"cue ", struct.pack("<I", len(points)) + b"".join(points))
    return [cue, Chunk(b"LIST", b"adtl" + joined(labels))] if labels else [cue]


def _sampler(inst: bytes, markers: list[tuple[int, int, bytes]], sample_rate: int) -> list[Chunk]:
    """The base note and the sustained loop of an instrument."""
    if len(inst) < 20:
        return []
    place = {number: frame for number, frame, _ in markers}
    mode, first, last = struct.unpack_from(">hHH", inst, 8)
    loop = b""
    if mode and first in place and last in place:
        end = max(0, place[last] - 1)
        loop = struct.pack("<6I", 0, int(mode == 2), place[first], end, 0, 0)
    period = round(1e9 / sample_rate)
    head = struct.pack("<9I", 0, 0, period, inst[0], 0, 0, 0, int(bool(loop)), 0)
    return [Chunk(b"smpl", head + loop)]
