"""What a folder holds and the catalogue does not, or the other way round."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from server.errors import AudioLDMError
from server.sample_library.catalogue import Catalogue
from server.sample_library.describer import digest_of
from server.sample_library.sample import Sample
from server.sample_library.scan import Found, Skipped, scan
from server.sample_library.store import Folder

__all__ = ["Changes", "changes_in"]

Check = Callable[[], None]


@dataclass
class Changes:
    """The difference between a folder and what is known of it."""

    new: list[Found] = field(default_factory=list)
    """New files, and those that have changed."""
    known: dict[Path, Sample] = field(default_factory=dict)
    """What was known of the changed ones."""
    gone: dict[Path, Sample] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    no_problem: list[Path] = field(default_factory=list)
    """Files that could not be read and are gone or changed."""


def changes_in(catalogue: Catalogue, folder: Folder, check: Check) -> Changes:
    """Compare a folder with the catalogue, by size and time; follow files that were moved.

    Raises:
        OSError: the folder cannot be listed.
    """
    changes = Changes(gone=catalogue.samples_in(folder))
    unreadable = catalogue.unreadable(folder)
    for seen in scan(folder.path):
        check()
        if isinstance(seen, Skipped):
            changes.skipped.append(seen)
            unreadable.pop(seen.path, None)
            continue
        known = changes.gone.pop(seen.path, None)
        tried = unreadable.pop(seen.path, None)
        stamp = (seen.size, seen.mtime_ns)
        if tried == stamp or (known and (known.size, known.mtime_ns) == stamp):
            continue
        changes.new.append(seen)
        if known:
            changes.known[seen.path] = known
    changes.no_problem = list(unreadable)
    _follow_moves(catalogue, folder, changes, check)
    return changes


def _follow_moves(catalogue: Catalogue, folder: Folder, changes: Changes, check: Check) -> None:
    """New files with the content of one that is gone keep its embedding."""
    by_size = defaultdict[int, list[Sample]](list)
    for sample in changes.gone.values():
        by_size[sample.size].append(sample)
    still_new = []
    for found in changes.new:
        check()
        moved = _moved(found, folder, by_size[found.size]) if found.size in by_size else None
        if moved is None or found.path in changes.known:
            still_new.append(found)
            continue
        by_size[found.size].remove(moved)
        del changes.gone[moved.path]
        catalogue.move(moved, folder, found.path, found.mtime_ns)
    changes.new = still_new


def _moved(found: Found, folder: Folder, candidates: list[Sample]) -> Sample | None:
    """The sound that lay elsewhere before, if its content says so."""
    if not candidates:
        return None
    try:
        digest = digest_of(found.path, folder.path)
    except AudioLDMError:
        return None
    return next((sample for sample in candidates if sample.about.digest == digest), None)
