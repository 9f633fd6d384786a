"""Room on the disk: asked before work is accepted, kept by throwing away what is left over."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import Final

from server.errors import StorageFull

__all__ = ["RESERVE_BYTES", "check_room", "remove_parts"]

log = logging.getLogger("audioldm.storage")

RESERVE_BYTES: Final = 32 * 1024 * 1024
"""Left free on the disk, so that the jobs accepted before can still be finished."""


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


def remove_parts(folder: Path, before_s: float) -> int:
    """Delete files that a killed process had half written by ``before_s``; how many there were."""
    removed = 0
    for part in folder.rglob(".*.part") if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            if part.stat().st_mtime < before_s:
                part.unlink()
                removed += 1
    if removed:
        log.info("removed %d half-written files from %s", removed, folder)
    return removed


def _is_read_only(place: Path) -> bool:
    if not hasattr(os, "statvfs"):
        return not os.access(place, os.W_OK)
    return bool(os.statvfs(place).f_flag & os.ST_RDONLY)
