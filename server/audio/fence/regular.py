"""Files that clients name: regular ones of bounded size, opened without waiting for anybody."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from server.errors import AudioLDMError, InvalidRequest, TooLarge, UnreadableAudio

__all__ = ["MAX_FILE_BYTES", "open_regular", "read_regular", "under_its_descriptor"]

MAX_FILE_BYTES: Final = 4 * 2**30
"""A WAV file cannot be larger."""
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def open_regular(path: Path, max_bytes: int = MAX_FILE_BYTES) -> Iterator[int]:
    """A descriptor of the file at ``path``; a pipe would be waited for, a device has no end.

    Raises:
        InvalidRequest: it is a folder.
        UnreadableAudio: it is not there, cannot be opened, or is no regular file.
        TooLarge: it has more than ``max_bytes``.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError as error:
        raise UnreadableAudio(f"{path} does not exist") from error
    except IsADirectoryError as error:
        raise InvalidRequest(f"{path} is a folder; name a sound file") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UnreadableAudio(f"{path} cannot be opened: {why}") from error
    try:
        _check(path, os.fstat(descriptor), max_bytes)
        yield descriptor
    finally:
        os.close(descriptor)


def _check(path: Path, found: os.stat_result, max_bytes: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise InvalidRequest(f"{path} is a folder; name a sound file")
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableAudio(f"{path} is no regular file; name a sound file")
    if found.st_size > max_bytes:
        raise TooLarge(f"{path} has {found.st_size} bytes; at most {max_bytes} are read")


def read_regular(path: Path, max_bytes: int) -> bytes:
    """The bytes of a small file; see :func:`open_regular`."""
    with open_regular(path, max_bytes) as descriptor, open(descriptor, "rb", closefd=False) as file:
        return file.read(max_bytes)


@contextmanager
def under_its_descriptor(path: Path, descriptor: int, shown: str = "") -> Iterator[Path]:
    """A path by which the open file is opened again, whatever ``path`` names by now.

    Where the system has none, it is ``path``. Errors call the file ``shown``, else ``path``.
    """
    opened = Path(f"/proc/self/fd/{descriptor}") if sys.platform == "linux" else path
    try:
        yield opened
    except AudioLDMError as error:
        raise type(error)(str(error).replace(str(opened), shown or str(path))) from error
