"""SHA-256 of files that are read at every load, computed once for each state of a file."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Final

__all__ = ["sha256_of_model_file"]

_State = tuple[str, int, int, int]
"""Path, size, time of the last change and inode."""
_known: Final[dict[_State, str]] = {}
_reading: Final = threading.Lock()


def sha256_of_model_file(path: Path) -> str:
    """The checksum in hexadecimal; not computed again while size and time stay the same."""
    with path.open("rb") as file, _reading:
        found = os.fstat(file.fileno())
        state = (str(path.absolute()), found.st_size, found.st_mtime_ns, found.st_ino)
        if state not in _known:
            _known[state] = hashlib.file_digest(file, "sha256").hexdigest()
        return _known[state]
