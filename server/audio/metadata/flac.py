"""Metadata blocks of FLAC files (RFC 9639): read within bounds, moved, and written.

RIFF chunks travel in ``APPLICATION`` blocks, as ``flac --keep-foreign-metadata`` writes them.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from server.audio.metadata.points import Move
from server.audio.metadata.riff import MAX_BYTES, MAX_CHUNKS, Chunk, joined, parts

__all__ = [
    "Block",
    "Comments",
    "comments_of",
    "foreign_blocks",
    "foreign_chunks",
    "moved_block",
    "moved_comments",
    "read_blocks",
    "with_blocks",
]

Comments = tuple[tuple[str, str], ...]
"""Vorbis comments in order: name in capitals, text."""

APPLICATION: Final = 2
COMMENT: Final = 4
CUE_SHEET: Final = 5
PICTURE: Final = 6
_KEPT: Final = (APPLICATION, COMMENT, CUE_SHEET, PICTURE)
_LONGEST: Final = 2**24 - 1
_VENDOR: Final = b"audioldm-daw"
_LEAD_OUT: Final = (170, 255)
_LOOP_POINTS: Final = ("LOOPSTART", "LOOPEND")
_LOOP_LENGTH: Final = "LOOPLENGTH"


@dataclass(frozen=True)
class Block:
    """One metadata block: its type and its content."""

    type: int
    data: bytes


def read_blocks(source: Path | bytes) -> tuple[list[Block], list[str]]:
    """Read the blocks of a FLAC file that belong to its user, and name those left out.

    Raises:
        OSError: the file cannot be read.
    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source))
    with source.open("rb") as stream:
        return _read(stream)


def with_blocks(flac: bytes, blocks: Iterable[Block]) -> bytes:
    """A FLAC file with ``blocks`` in place of all of its own but the stream's description."""
    audio, info = 4, flac[8:42]
    last = False
    while not last:
        head, size = flac[audio], int.from_bytes(flac[audio + 1 : audio + 4], "big")
        last, audio = bool(head & 0x80), audio + 4 + size
    kept = [Block(0, info), *(block for block in blocks if len(block.data) <= _LONGEST)]
    heads = [
        bytes([block.type | (0x80 if block is kept[-1] else 0)])
        + len(block.data).to_bytes(3, "big")
        + block.data
        for block in kept
    ]
    return b"fLaC" + b"".join(heads) + flac[audio:]


def comments_of(data: bytes) -> Comments:
    """The comments in a block, or in the header packet of an Ogg file."""
    found, at = [], 0
    try:
        at = 4 + struct.unpack_from("<I", data)[0]
        (count,) = struct.unpack_from("<I", data, at)
        for _ in range(min(count, MAX_CHUNKS)):
            (size,) = struct.unpack_from("<I", data, at + 4)
            text = data[at + 8 : at + 8 + size].decode("utf-8", "replace")
            at += 4 + size
            name, equals, value = text.partition("=")
            if equals and at <= len(data):
                found.append((name.upper(), value))
    except struct.error:
        pass  # a damaged block ends early
    return tuple(found)


def comment_block(comments: Comments) -> Block:
    """The block that holds ``comments``."""
    texts = [f"{name}={value}".encode() for name, value in comments]
    pieces = [struct.pack("<I", len(_VENDOR)), _VENDOR, struct.pack("<I", len(texts))]
    for text in texts:
        pieces += [struct.pack("<I", len(text)), text]
    return Block(COMMENT, b"".join(pieces))


def foreign_chunks(blocks: Iterable[Block]) -> Iterator[Chunk]:
    """The RIFF chunks in ``APPLICATION`` blocks."""
    for block in blocks:
        if block.type == APPLICATION and block.data[:4] == b"riff":
            yield from parts(block.data[4:])


def foreign_blocks(chunks: tuple[Chunk, ...], header: bytes, data_bytes: int) -> Iterator[Block]:
    """Blocks for RIFF ``chunks``, so that ``flac --keep-foreign-metadata`` restores the file.

    Args:
        chunks: what the file holds besides ``fmt`` and ``data``.
        header: content of the ``fmt`` chunk of the restored file.
        data_bytes: size of its samples.
    """
    if not chunks:
        return
    samples = struct.pack("<4sI", b"data", data_bytes)
    pieces = [joined([Chunk(b"fmt ", header)]), *(joined([chunk]) for chunk in chunks)]
    size = 4 + sum(map(len, pieces)) + len(samples) + data_bytes + (data_bytes & 1)
    head = struct.pack("<4sI4s", b"RIFF", min(size, 2**32 - 1), b"WAVE")
    for piece in (head, *pieces, samples):
        yield Block(APPLICATION, b"riff" + piece)


def moved_block(block: Block, move: Move) -> Block:
    """``block`` with the tracks of a cue sheet moved; others as they are."""
    if block.type != CUE_SHEET or len(block.data) < 396:
        return block
    out, at = bytearray(block.data), 396
    for _ in range(block.data[395]):
        if at + 36 > len(out):
            return block
        (place,) = struct.unpack_from(">Q", out, at)
        ends = out[at + 8] in _LEAD_OUT
        struct.pack_into(">Q", out, at, move.frames if ends else move.place(place))
        at += 36 + 12 * out[at + 35]
    return Block(block.type, bytes(out))


def moved_comments(comments: Comments, move: Move) -> Comments:
    """``comments`` with the points of a loop, as game engines read them, moved."""
    return tuple((name, _moved_text(name, text, move)) for name, text in comments)


def _moved_text(name: str, text: str, move: Move) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        return text
    if name in _LOOP_POINTS:
        return str(move.place(int(text)))
    return str(move.length(int(text))) if name == _LOOP_LENGTH else text


def _read(stream: BinaryIO) -> tuple[list[Block], list[str]]:
    found: list[Block] = []
    left_out: list[str] = []
    held, last = 0, stream.read(4) != b"fLaC"
    while not last:
        head = stream.read(4)
        if len(head) < 4:
            break
        last, size = bool(head[0] & 0x80), int.from_bytes(head[1:], "big")
        type = head[0] & 0x7F
        if type not in _KEPT:
            stream.seek(size, io.SEEK_CUR)
        elif held + size > MAX_BYTES or len(found) >= MAX_CHUNKS:
            left_out.append(f"block {type}")
            stream.seek(size, io.SEEK_CUR)
        else:
            block = Block(type, stream.read(size))
            found += [block] if _is_whole(block) else []
            held += size
    return found, left_out[:MAX_CHUNKS]


def _is_whole(block: Block) -> bool:
    """False for a damaged block, which decoders would refuse with all of its file."""
    checks = {APPLICATION: lambda data: len(data) >= 4, CUE_SHEET: _is_cue_sheet}
    checks[PICTURE] = _is_picture
    return block.type not in checks or checks[block.type](block.data)


def _is_picture(data: bytes) -> bool:
    at = 4
    for before_next in (0, 16, 0):
        if at + 4 > len(data):
            return False
        at += 4 + int.from_bytes(data[at : at + 4], "big") + before_next
    return at == len(data)


def _is_cue_sheet(data: bytes) -> bool:
    at = 396
    for _ in range(data[395] if len(data) >= at else 0):
        if at + 36 > len(data):
            return False
        at += 36 + 12 * data[at + 35]
    return at == len(data)
