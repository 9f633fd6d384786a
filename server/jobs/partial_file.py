"""A file that arrives in pieces: hidden until it is whole and its checksum is known."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from server.audio.fence.regular import open_regular
from server.errors import InvalidRequest, StorageFull, TooLarge
from server.jobs.storage import check_room

__all__ = ["PartialFile", "check_size", "sha256_of"]


class PartialFile:
    """A file that is being received. Use :meth:`resume` where part of it may be there.

    Args:
        path: where the pieces are kept.
        max_bytes: size of the largest file that is accepted.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.received = 0
        """Bytes that have arrived."""
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()

    @classmethod
    async def resume(cls, path: Path, max_bytes: int) -> PartialFile:
        """Go on with what has arrived at ``path``, if anything has."""
        part = cls(path, max_bytes)
        if path.exists():
            part._hash = await asyncio.to_thread(sha256_of, path)
            part.received = path.stat().st_size
        return part

    @property
    def sha256(self) -> str:
        """Checksum of what has arrived, in hexadecimal."""
        return str(self._hash.hexdigest())

    @contextmanager
    def appending(self) -> Iterator[Callable[[bytes], None]]:
        """Open the file; the function that it gives appends a piece.

        Raises:
            TooLarge: more arrives than is accepted; nothing is left of the file.
            StorageFull: it cannot be written, or less than the reserve would stay free.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:

                def append(data: bytes) -> None:
                    check_size(self.received + len(data), self._max_bytes)
                    # Each time: others write too, and jobs are accepted meanwhile.
                    check_room(self.path.parent, len(data))
                    file.write(data)
                    self._hash.update(data)
                    self.received += len(data)

                yield append
        except OSError as error:
            raise StorageFull(f"the clip cannot be kept: {error.strerror}") from error
        except TooLarge:
            self.remove()
            raise

    async def sync(self) -> None:
        """Make what has arrived durable.

        Raises:
            StorageFull: it cannot be written.
        """
        try:
            with self.path.open("ab") as file:
                await asyncio.to_thread(os.fsync, file.fileno())
        except OSError as error:
            raise StorageFull(f"the clip cannot be kept: {error.strerror}") from error

    def verify(self, sha256: str) -> None:
        """Compare the checksum of the whole file with the announced one.

        Raises:
            InvalidRequest: they differ; nothing is left of the file.
        """
        if self.sha256 != sha256:
            self.remove()
            raise InvalidRequest(f"the checksum is {self.sha256}, not {sha256}; send it again")

    def move_to(self, path: Path) -> None:
        """Give the finished file its name.

        Raises:
            StorageFull: it cannot be renamed.
        """
        try:
            self.path.replace(path)
        except OSError as error:
            raise StorageFull(f"the clip cannot be kept: {error.strerror}") from error

    def remove(self) -> None:
        """Delete what has arrived, unless the file has been moved."""
        self.path.unlink(missing_ok=True)


def sha256_of(path: Path) -> Any:
    """The SHA-256 of a file, as a hash object that can be updated further."""
    with open_regular(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256")


def check_size(num_bytes: int, max_bytes: int) -> None:
    """Check a size that is announced or reached.

    Raises:
        TooLarge: it is not accepted.
    """
    if num_bytes > max_bytes:
        raise TooLarge(f"{num_bytes} bytes; at most {max_bytes} are taken for a clip")
