"""The disk: room asked for before work is accepted, files whole or not at all, no leftovers."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from itertools import chain
from pathlib import Path
from typing import Final

from server.errors import StorageFull

__all__ = [
    "RESERVE_BYTES",
    "check_room",
    "preview_path",
    "remove_parts",
    "remove_preview",
    "write_whole",
]

log = logging.getLogger("audioldm.storage")

RESERVE_BYTES: Final = 32 * 1024 * 1024
"""Left free on the disk, so that the jobs accepted before can still be finished."""
_BEGUN_S: Final = time.time()
"""What was written before this process began is not its own."""
_PREVIEWS: Final = ".previews"


def check_room(folder: Path, needed_bytes: int = 0) -> None:
    """Refuse work whose result would find no room in ``folder`` (or its nearest parent).

    Raises:
        StorageFull: the disk is full, read-only or not there.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        raise StorageFull(f"{folder} cannot be used: {error.strerror}") from error
    if free < needed_bytes + RESERVE_BYTES:
        raise StorageFull(
            f"only {free // 2**20} MiB are free where {folder} is; "
            f"{(needed_bytes + RESERVE_BYTES) // 2**20} are needed"
        )
    # Not os.access: a read-only mount is read-only for root too, permissions are not.
    if _is_read_only(place):
        raise StorageFull(f"{place} is on a read-only disk; takes cannot be written to {folder}")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it appears whole or not at all, also after a power cut.

    Raises:
        StorageFull: it cannot be written; nothing is left behind.
    """
    # The process id keeps a worker that is about to die off the file of its successor.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageFull(f"{path} cannot be written: {error.strerror}") from error


def remove_parts(folder: Path) -> int:
    """Delete files that a killed process left half written, and previews; how many there were.

    What has been written to since this process began stays: it may be arriving just now.
    """
    removed = 0
    found = (folder.rglob(".*.part"), folder.glob(f"{_PREVIEWS}/*.wav")) if folder.is_dir() else ()
    for part in chain.from_iterable(found):
        with contextlib.suppress(OSError):
            if part.stat().st_mtime < _BEGUN_S:
                part.unlink()
                removed += 1
    if removed:
        log.info("removed %d left-over files from %s", removed, folder)
    return removed


def preview_path(takes_folder: Path, job_id: str) -> Path:
    """Where a job's preview lies while it runs: hidden, for it is no take."""
    return takes_folder / _PREVIEWS / f"{job_id}.wav"


def remove_preview(takes_folder: Path, job_id: str) -> None:
    """Delete a job's preview; one that is in use is left for :func:`remove_parts`."""
    with contextlib.suppress(OSError):
        preview_path(takes_folder, job_id).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """A file's name is durable when its folder is."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_read_only(place: Path) -> bool:
    if not hasattr(os, "statvfs"):
        return not os.access(place, os.W_OK)
    return bool(os.statvfs(place).f_flag & os.ST_RDONLY)
