"""Locks on files, by which programs that share a folder leave each other's files alone.

A lock ends with the process that holds it, however that ends. Windows refuses to delete an open
file by itself, so that parts need no lock there.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

__all__ = ["LEFT_OVER_S", "holding", "is_left_over", "try_lock"]

LEFT_OVER_S: Final = 3000.0
"""A part that nobody holds and nobody has written to for this long is given up. It is looked for
every ten minutes, so that it is gone within an hour."""

_BEGUN_S: Final = time.time()


def try_lock(file: IO[Any]) -> bool:
    """Lock an open file until it is closed; False where somebody else has."""
    if os.name == "nt":
        import msvcrt

        lock: Any = msvcrt  # its functions exist on Windows only, for mypy too
        try:
            lock.locking(file.fileno(), lock.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Keep other programs from taking the file at ``path`` for left over.

    A folder that cannot be written is said by whoever writes the file.
    """
    with contextlib.ExitStack() as stack:
        if os.name == "posix":
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                try_lock(stack.enter_context(path.open("ab")))
        yield


def is_left_over(path: Path) -> bool:
    """Whether the program that wrote the part at ``path`` is gone.

    What was written to since this process began may be arriving just now.
    """
    touched_s = path.stat().st_mtime
    if touched_s < time.time() - LEFT_OVER_S or (os.name == "posix" and touched_s < _BEGUN_S):
        with path.open("rb") as file:
            return try_lock(file)
    return False
