"""Chunks of RIFF, RF64 and AIFF files: read within bounds, and written.

A file may come from anywhere. So sizes in it are never trusted: what exceeds the file or the
bounds is left out, and is named.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["MAX_BYTES", "MAX_CHUNKS", "Chunk", "Chunks", "joined", "parts", "read_chunks"]

MAX_CHUNKS: Final = 1024
"""Chunks that are read from one file."""
MAX_BYTES: Final = 16 * 2**20
"""Bytes of chunks that are read from one file, besides its samples."""
_MAX_CHUNK_BYTES: Final = MAX_BYTES // 2
_SAMPLES: Final = frozenset({b"data", b"SSND", b"wavl"})
_UNKNOWN_SIZE: Final = 0xFFFFFFFF
_FORMS: Final = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"FORM": ">"}


@dataclass(frozen=True)
class Chunk:
    """One chunk: its four letters and its content."""

    id: bytes
    data: bytes


@dataclass(frozen=True)
class Chunks:
    """The chunks of one file, without its samples."""

    form: bytes = b""
    """``WAVE``, ``AIFF``, ``AIFC``; empty where the file is none of them."""
    found: tuple[Chunk, ...] = ()
    left_out: tuple[str, ...] = ()
    """Chunks that exceed the bounds."""

    def first(self, id: bytes) -> bytes | None:
        """The content of the first chunk ``id``."""
        return next((chunk.data for chunk in self.found if chunk.id == id), None)


def read_chunks(source: Path | bytes) -> Chunks:
    """Read the chunks of a sound file; none where it is no RIFF and no AIFF file.

    Raises:
        OSError: the file cannot be read.
    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source))
    with source.open("rb") as stream:
        return _read(stream)


def parts(data: bytes, order: str = "<") -> Iterator[Chunk]:
    """The chunks inside ``data``; it ends at the first one that is damaged."""
    at = 0
    while at + 8 <= len(data):
        id, size = data[at : at + 4], struct.unpack_from(f"{order}I", data, at + 4)[0]
        if not _is_id(id) or at + 8 + size > len(data):
            return
        yield Chunk(id, data[at + 8 : at + 8 + size])
        at += 8 + size + (size & 1)


def joined(chunks: Iterator[Chunk] | tuple[Chunk, ...] | list[Chunk]) -> bytes:
    """The bytes of little-endian ``chunks``, each padded to an even length."""
    pieces = []
    for chunk in chunks:
        pad = b"\0" * (len(chunk.data) & 1)
        pieces += [chunk.id, struct.pack("<I", len(chunk.data)), chunk.data, pad]
    return b"".join(pieces)


def _read(stream: BinaryIO) -> Chunks:
    end = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(12)
    order = _FORMS.get(head[:4])
    if order is None or len(head) < 12:
        return Chunks()
    found: list[Chunk] = []
    left_out: list[str] = []
    held = 0
    for id, at, size in _places(stream, order, end):
        whole = size <= min(_MAX_CHUNK_BYTES, MAX_BYTES - held)
        if not whole or len(found) >= MAX_CHUNKS:
            left_out.append(id.decode("latin-1").strip())
            continue
        stream.seek(at)
        found.append(Chunk(id, stream.read(size)))
        held += size
    return Chunks(head[8:12], tuple(found), tuple(left_out[:MAX_CHUNKS]))


def _places(stream: BinaryIO, order: str, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and size of each chunk except the samples."""
    at, samples, seen = 12, 0, 0
    while at + 8 <= end and seen < 4 * MAX_CHUNKS:
        seen += 1
        stream.seek(at)
        id, size = struct.unpack(f"{order}4sI", stream.read(8))
        at += 8
        if id == b"data" and size == _UNKNOWN_SIZE:
            size = samples or _UNKNOWN_SIZE
        if not _is_id(id) or at + size > end:
            return
        if id == b"ds64":
            samples = _samples_size(stream.read(min(size, 24)))
        elif id not in _SAMPLES:
            yield id, at, size
        at += size
        at += _padding(stream, at, size)


def _samples_size(ds64: bytes) -> int:
    """Bytes of samples, as an RF64 file says."""
    return int.from_bytes(ds64[8:16], "little")


def _padding(stream: BinaryIO, at: int, size: int) -> int:
    """1 after a chunk of odd size; some programs forget the pad byte, which is 0."""
    if not size & 1:
        return 0
    stream.seek(at)
    return int(stream.read(1) in (b"\0", b"") or not _is_id_at(stream, at))


def _is_id_at(stream: BinaryIO, at: int) -> bool:
    stream.seek(at)
    return _is_id(stream.read(4))


def _is_id(id: bytes) -> bool:
    return len(id) == 4 and all(0x20 <= byte < 0x7F for byte in id)
