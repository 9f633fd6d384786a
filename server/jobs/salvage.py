"""What can still be read of a damaged journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from server.jobs.job import decode_job, decode_take
from server.jobs.sqlite_pages import Pages, Row

__all__ = ["Salvaged", "salvaged"]

_TEXT, _NUMBER, _BYTES = (str,), (int, float), (bytes,)
_JOB: Final = (_TEXT, _TEXT, _TEXT, _TEXT, _NUMBER, (int,), _BYTES)
_TAKE: Final = (
    *(_TEXT, (int,), _TEXT, _TEXT, (int,), _TEXT, _TEXT),
    *(_NUMBER, _TEXT, (int,), _BYTES),
)
_HEARD: Final = (_TEXT, (int,), _TEXT, _BYTES)
_NAME: Final = (_TEXT, (int,), _TEXT, _TEXT)
_UNFINISHED: Final = ("queued", "running")
_STATES: Final = (*_UNFINISHED, "done", "failed", "cancelled")


@dataclass(frozen=True)
class Salvaged:
    """Rows by their table, oldest first, and what is known of those that are lost."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    """Ids of jobs that an index names and that cannot be read."""
    lost_unfinished: int = 0

    def __str__(self) -> str:
        jobs = self.rows.get("jobs", [])
        unfinished = sum(row[3] in _UNFINISHED for row in jobs)
        takes = len(self.rows.get("takes", []))
        read = f"{len(jobs)} jobs ({unfinished} unfinished) and {takes} takes were read from it"
        if not self.lost:
            return read
        return f"{read}; {len(self.lost)} jobs ({self.lost_unfinished} unfinished) are lost"

    def write_to(self, connection: sqlite3.Connection) -> None:
        """Enter the rows into the tables of a new journal."""
        for table, rows in self.rows.items():
            for row in rows:
                places = ", ".join("?" * len(row))
                connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)


def salvaged(path: Path) -> Salvaged:
    """Read every row of the journal at ``path`` that is still whole.

    A page that SQLite has given up may hold an older state of a job: the latest state counts. It
    may hold takes that were deleted: those without a file are left out.
    """
    pages = Pages(path)
    jobs: dict[Any, tuple[int, Row]] = {}
    takes: dict[Any, tuple[int, Row]] = {}
    heard: dict[Any, tuple[int, Row]] = {}
    names: dict[Any, tuple[int, Row]] = {}
    for row_id, row in pages.table_rows():
        if _fits(row, _JOB) and row[3] in _STATES and _is_whole(row, decode_job):
            known = jobs.get(row[0])
            if known is None or _STATES.index(row[3]) >= _STATES.index(known[1][3]):
                jobs[row[0]] = (row_id, row)
        elif _fits(row, _TAKE) and _is_whole(row, decode_take) and Path(str(row[3])).exists():
            takes[row[:2]] = (row_id, row)
        elif _fits(row, _HEARD):
            heard[row[:3]] = (row_id, row)
        elif _fits(row, _NAME):
            names[row[:2]] = (row_id, row)
    lost, states = _lost(pages, set(jobs))
    tables = {"jobs": jobs, "takes": takes, "heard": heard, "names": names}
    return Salvaged(
        {table: _ordered(found) for table, found in tables.items()},
        tuple(sorted(lost)),
        sum(states.get(row_id) in _UNFINISHED for row_id in lost.values()),
    )


def _ordered(found: dict[Any, tuple[int, Row]]) -> list[Row]:
    return [row for _, row in sorted(found.values(), key=lambda numbered: numbered[0])]


def _lost(pages: Pages, read: set[str]) -> tuple[dict[str, int], dict[int, str]]:
    """Jobs that the index of ids names besides, with their row ids; and states by row id."""
    named: dict[str, int] = {}
    states: dict[int, str] = {}
    for row in pages.index_rows():
        if not _fits(row, (_TEXT, (int,))):
            continue
        text, row_id = str(row[0]), int(row[1])  # type: ignore[arg-type]
        if text in _STATES:
            states[row_id] = text
        else:
            named[text] = row_id
    return {job: row_id for job, row_id in named.items() if job not in read}, states


def _fits(row: Row, kinds: tuple[tuple[type, ...], ...]) -> bool:
    return len(row) == len(kinds) and all(map(isinstance, row, kinds))


def _is_whole(row: Row, decode: Callable[[bytes], object]) -> bool:
    """Whether the last value still is what was written; part of it may lie in another page."""
    try:
        decode(row[-1])  # type: ignore[arg-type]
    except (msgspec.DecodeError, TypeError, ValueError):
        return False
    return True
