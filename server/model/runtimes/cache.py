"""The folder of compiled graphs: one subfolder for each model, the oldest deleted for room."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from server.model.memory import GIB

__all__ = ["compiled_cache", "used_now"]

log = logging.getLogger("audioldm.models")


def compiled_cache(folder: Path, limit_gb: float) -> Path | None:
    """``folder``, with no more than ``limit_gb`` in it; None where nothing is to be kept."""
    kept = 0
    for entry in sorted(_subfolders(folder), key=_used_s, reverse=True):
        size = sum(file.stat().st_size for file in entry.iterdir())
        kept += size
        if kept > limit_gb * GIB:
            log.info("deleting compiled graphs in %s", entry)
            shutil.rmtree(entry, ignore_errors=True)
            kept -= size
    return folder if limit_gb else None


def used_now(folder: Path) -> None:
    """Make the subfolder ``folder`` of a model, the newest of all."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.touch()


def _subfolders(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []


def _used_s(folder: Path) -> float:
    return folder.stat().st_mtime
