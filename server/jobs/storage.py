"""The disk: room promised to accepted work, files whole or not at all, no leftovers."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from pathlib import Path
from typing import Final

from server.errors import StorageFull
from server.locks import LEFT_OVER_S, holding, is_left_over

__all__ = [
    "PROMISED",
    "RESERVE_BYTES",
    "Promises",
    "check_room",
    "preview_path",
    "remove_parts",
    "remove_preview",
    "write_whole",
]

log = logging.getLogger("audioldm.storage")

RESERVE_BYTES: Final = 32 * 1024 * 1024
"""Left free on the disk by every writer but accepted jobs and their journal."""
_PREVIEWS: Final = ".previews"


class Promises:
    """Bytes that accepted jobs will still write, by the disk that they write to."""

    def __init__(self) -> None:
        self._of_job: dict[str, tuple[int, int]] = {}

    def make(self, job_id: str, folder: Path, needed_bytes: int) -> None:
        """Set room aside until :meth:`keep`; :func:`check_room` first says whether it is there."""
        with contextlib.suppress(OSError):
            self._of_job[job_id] = (_existing(folder).stat().st_dev, needed_bytes)

    def keep(self, job_id: str) -> None:
        """The job has ended."""
        self._of_job.pop(job_id, None)

    def on(self, device: int) -> int:
        """Bytes that are set aside on a disk."""
        return sum(size for disk, size in self._of_job.values() if disk == device)


PROMISED: Final = Promises()
"""Those of this process, which all its writers leave alone."""


def check_room(folder: Path, needed_bytes: int = 0) -> None:
    """Refuse work whose result would find no room in ``folder`` (or its nearest parent).

    Raises:
        StorageFull: the disk is full, read-only or not there.
    """
    place = _existing(folder)
    try:
        free = shutil.disk_usage(place).free
        kept = RESERVE_BYTES + PROMISED.on(place.stat().st_dev)
    except OSError as error:
        raise StorageFull(f"{folder} cannot be used: {error.strerror}") from error
    if free < needed_bytes + kept:
        raise StorageFull(
            f"only {free // 2**20} MiB are free where {folder} is; "
            f"{(needed_bytes + kept) // 2**20} are needed, with what accepted jobs will write"
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
        with holding(part):
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
    """Delete files that a killed process left half written, and old previews; how many there were.

    Other programs may be writing to the same folder: what they hold stays, and so does a preview
    that may be one of theirs.
    """
    removed = 0
    if not folder.is_dir():
        return removed
    oldest = time.time() - LEFT_OVER_S
    for part in (*folder.rglob(".*.part"), *folder.glob(f"{_PREVIEWS}/*.wav")):
        with contextlib.suppress(OSError):
            preview = part.suffix == ".wav"
            if part.stat().st_mtime < oldest if preview else is_left_over(part):
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


def _existing(folder: Path) -> Path:
    """``folder``, or its nearest parent that exists."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


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
