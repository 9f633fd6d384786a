"""Sound files whose writer never came back to fill in how much they hold.

A recorder that crashes, or a program that writes to a pipe, leaves a length of 0 in the header.
Such a file is read to its end.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

__all__ = ["opened_sound"]

_MAX_CHUNKS: Final = 64
_UINT32: Final = struct.Struct("<I")
_UINT64: Final = struct.Struct("<Q")

Patch = tuple[int, bytes]
"""Bytes that stand at an offset instead of those in the file."""


@contextmanager
def opened_sound(source: Path | bytes) -> Iterator[Any]:
    """The open ``soundfile.SoundFile`` of a file or of its bytes.

    Raises:
        soundfile.SoundFileError: not audio.
        OSError: it cannot be read.
    """
    import soundfile

    with ExitStack() as stack:
        stream: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
        stack.callback(stream.close)
        patch = _patch(stream)
        stream.seek(0)
        patched = stream if patch is None else _Patched(stream, patch)
        try:
            sound = soundfile.SoundFile(patched)
        except soundfile.LibsndfileError as error:
            # Its text names the Python object that was opened.
            raise soundfile.LibsndfileError(error.code) from error
        yield stack.enter_context(sound)


class _Patched(io.RawIOBase):
    """A file with some bytes of its header replaced."""

    def __init__(self, stream: BinaryIO, patch: Patch) -> None:
        self._stream = stream
        self._at, self._bytes = patch

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:
        position = self._stream.tell()
        data = bytearray(self._stream.read(len(buffer)))
        for index, byte in enumerate(self._bytes, self._at - position):
            if 0 <= index < len(data):
                data[index] = byte
        buffer[: len(data)] = data
        return len(data)


def _patch(stream: BinaryIO) -> Patch | None:
    head = stream.read(12)
    if head[:4] == b".snd" and head[8:12] == bytes(4):
        return 8, b"\xff" * 4  # "unknown", as Sun wrote it
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return None
    end = stream.seek(0, io.SEEK_END)
    at, sizes_at = 12, None
    for _ in range(_MAX_CHUNKS):
        stream.seek(at)
        header = stream.read(8)
        if len(header) < 8:
            return None
        size = _UINT32.unpack(header[4:])[0]
        if header[:4] == b"ds64":
            sizes_at = at + 16
        if header[:4] == b"data":
            return _data_patch(stream, at, sizes_at, end) if at + 8 < end else None
        at += 8 + size + size % 2
    return None


def _data_patch(stream: BinaryIO, at: int, sizes_at: int | None, end: int) -> Patch | None:
    """The length of the samples behind ``at``, where the header says 0 and other bytes follow."""
    stream.seek(at + 4)
    size = _UINT32.unpack(stream.read(4))[0]
    if sizes_at is not None and size == 0xFFFFFFFF:
        stream.seek(sizes_at)
        size = _UINT64.unpack(stream.read(8))[0]
    else:
        sizes_at = None
    if size or _only_chunks(stream, at + 8, end):
        return None
    length = end - at - 8
    if sizes_at is not None:
        return sizes_at, _UINT64.pack(length)
    return at + 4, _UINT32.pack(min(length, 0xFFFFFFFE))


def _only_chunks(stream: BinaryIO, at: int, end: int) -> bool:
    """True where chunks fill the rest of the file: then it is finished, and empty."""
    while at < end:
        stream.seek(at)
        header = stream.read(8)
        if len(header) < 8 or not header[:4].isascii() or not header[:4].decode().isprintable():
            return False
        size = _UINT32.unpack(header[4:])[0]
        at += 8 + size + size % 2
    return at in (end, end + 1)
