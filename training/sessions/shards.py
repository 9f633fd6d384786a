"""Files in shards of limited size: one tar stream cut into pieces, each with its checksum.

A shard may hold part of a file, so that a checkpoint may be larger than a shard. ``shards.json``
lists the shards in order.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from server.errors import ModelError

__all__ = ["SHARD_BYTES", "read_shards", "write_shards"]

SHARD_BYTES: Final = 16 * 2**20
INDEX: Final = "shards.json"


class Shard(msgspec.Struct, frozen=True):
    """One piece of the stream."""

    name: str
    bytes: int
    sha256: str


class _Cut(io.RawIOBase):
    """Writes a stream into files of at most ``size`` bytes."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size
        self.shards: list[Shard] = []
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(cast("bytes", data))
        self._held += piece
        while len(self._held) >= self.size:
            self._next(self.size)
        return len(piece)

    def finish(self) -> None:
        """Write what is left, and the index."""
        if self._held:
            self._next(len(self._held))
        (self.folder / INDEX).write_bytes(msgspec.json.encode(self.shards))

    def _next(self, size: int) -> None:
        content = bytes(self._held[:size])
        del self._held[:size]
        name = f"shard-{len(self.shards):03}.tar"
        (self.folder / name).write_bytes(content)
        self.shards.append(Shard(name, size, hashlib.sha256(content).hexdigest()))


class _Joined(io.RawIOBase):
    """Reads the shards of a folder as one stream; each is checked when it is opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._left = msgspec.json.decode((folder / INDEX).read_bytes(), type=list[Shard])
        self._open = io.BytesIO()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer at the end of a shard."""
        content = self._open.read(size)
        while not content and size and self._left:
            self._open = io.BytesIO(self._checked(self._left.pop(0)))
            content = self._open.read(size)
        return content

    def _checked(self, shard: Shard) -> bytes:
        path = self.folder / shard.name
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != shard.sha256:
            raise ModelError(
                f"{path} is damaged: {len(content)} bytes, not the {shard.bytes} of the index; "
                "copy it again"
            )
        return content


def write_shards(files: Mapping[str, Path], folder: Path, size: int = SHARD_BYTES) -> list[Shard]:
    """Write ``files``, by their paths in the target folder, as shards in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("shard-*.tar"):
        old.unlink()
    cut = _Cut(folder, size)
    with tarfile.open(fileobj=cast("BinaryIO", cut), mode="w|") as archive:
        for name, path in files.items():
            archive.add(path, name)
    cut.finish()
    return cut.shards


def read_shards(folder: Path, target: Path) -> None:
    """Unpack the shards of ``folder`` into ``target``.

    Raises:
        ModelError: a shard is missing or damaged, or there are none.
    """
    if not (folder / INDEX).is_file():
        raise ModelError(f"{folder} holds no shards: {INDEX} is missing")
    stream = cast("BinaryIO", _Joined(folder))
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        archive.extractall(target, filter="data")
