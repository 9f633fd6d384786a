"""What lies in a folder of sounds, without opening a file and without leaving the folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

__all__ = ["SUFFIXES", "Found", "Skipped", "scan"]

SUFFIXES: Final = frozenset({".wav", ".aif", ".aiff", ".flac", ".ogg", ".mp3"})


class Found(msgspec.Struct, frozen=True):
    """A file that may be a sound."""

    path: Path
    size: int
    """In bytes."""
    mtime_ns: int


class Skipped(msgspec.Struct, frozen=True):
    """What is left out, and why."""

    path: Path
    reason: str


def scan(folder: Path) -> Iterator[Found | Skipped]:
    """All sound files under ``folder``, in the order of their names.

    Links are not followed, so that nothing outside the folder is read. Hidden files and folders
    are passed over in silence; so are files of other kinds.

    Raises:
        OSError: ``folder`` itself cannot be listed.
    """
    waiting = [folder]
    first = True
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if first:
                raise
            yield Skipped(here, f"cannot be listed: {error.strerror}")
            continue
        first = False
        inner = [entry for entry in listed if not entry.name.startswith(".")]
        waiting += reversed([Path(e.path) for e in inner if e.is_dir(follow_symlinks=False)])
        for entry in inner:
            if (seen := _seen(entry)) is not None:
                yield seen


def _seen(entry: os.DirEntry[str]) -> Found | Skipped | None:
    """What a folder's entry is, if it concerns the library at all."""
    path = Path(entry.path)
    try:
        if entry.is_symlink():
            linked = entry.is_dir() or path.suffix.lower() in SUFFIXES
            return Skipped(path, "a link; add the folder that it leads to") if linked else None
        if path.suffix.lower() not in SUFFIXES or entry.is_dir(follow_symlinks=False):
            return None
        found = entry.stat(follow_symlinks=False)
    except OSError as error:
        return Skipped(path, f"cannot be looked at: {error.strerror}")
    if not stat.S_ISREG(found.st_mode):
        return Skipped(path, "no regular file")
    if not found.st_size:
        return Skipped(path, "empty")
    return Found(path, found.st_size, found.st_mtime_ns)
