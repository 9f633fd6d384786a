"""Folders, sounds and what could not be read, in SQLite; embeddings in a matrix beside it.

An embedding is in its file before the row that names it is committed. So after a kill every row
has its embedding, and what has no row is indexed again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from server.errors import Conflict, NotFound, StorageFull
from server.sample_library.sample import Description, Sample

__all__ = ["DATABASE", "Folder", "Problem", "Store"]

DATABASE: Final = "samples.sqlite3"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS folders (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL UNIQUE,
    paused INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS samples (
    row INTEGER PRIMARY KEY, folder INTEGER NOT NULL, path BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, about BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS samples_by_folder ON samples (folder);
CREATE TABLE IF NOT EXISTS problems (
    path BLOB PRIMARY KEY, folder INTEGER NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, reason TEXT NOT NULL);
"""
_COLUMNS: Final = "row, folder, path, size, mtime_ns, about"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Description).decode


class Folder(msgspec.Struct, frozen=True):
    """A folder of the library."""

    id: int
    path: Path
    paused: bool


class Problem(msgspec.Struct, frozen=True):
    """A file that cannot be read, and why; tried again when its size or time changes."""

    path: Path
    size: int
    mtime_ns: int
    reason: str


class Store:
    """The database at ``path``, used by one thread at a time.

    Raises:
        Conflict: another process holds it.
        StorageFull: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=1.0
            )
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise Conflict(f"{path} is in use by another audioldm process") from error
            raise StorageFull(f"{path} cannot be used: {error}") from error
        except (OSError, sqlite3.Error) as error:
            raise StorageFull(f"{path} cannot be used: {error}") from error

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction.

        Raises:
            StorageFull: it cannot be written.
        """
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        except sqlite3.Error as error:
            raise StorageFull(f"{self.path} cannot be written: {error}") from error

    # --- settings

    def setting(self, name: str) -> str:
        """A stored setting; empty where there is none."""
        found = self._one("SELECT value FROM settings WHERE name = ?", name)
        return "" if found is None else str(found[0])

    def set(self, name: str, value: str) -> None:
        """Store a setting."""
        with self.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    # --- folders

    def folders(self) -> list[Folder]:
        """All folders, in the order in which they were added."""
        rows = self._all("SELECT id, path, paused FROM folders ORDER BY id")
        return [Folder(id_, _path(path), bool(paused)) for id_, path, paused in rows]

    def add_folder(self, path: Path) -> Folder:
        """Add a folder, or find it where it is there already."""
        with self.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO folders (path) VALUES (?)", (_raw(path),))
        return self.folder(path)

    def folder(self, path: Path) -> Folder:
        """The folder at ``path``.

        Raises:
            NotFound: it is not in the library.
        """
        for folder in self.folders():
            if folder.path == path:
                return folder
        raise NotFound(f"{path} is no folder of the library")

    def pause(self, folder: Folder, paused: bool) -> None:
        """Stop to index a folder, or go on."""
        with self.writing() as connection:
            connection.execute("UPDATE folders SET paused = ? WHERE id = ?", (paused, folder.id))

    def remove_folder(self, folder: Folder) -> list[int]:
        """Forget a folder and its sounds; returns the rows that are free."""
        rows = [row for (row,) in self._all("SELECT row FROM samples WHERE folder = ?", folder.id)]
        with self.writing() as connection:
            for table, column in (("samples", "folder"), ("problems", "folder"), ("folders", "id")):
                connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (folder.id,))
        return rows

    # --- sounds

    def samples(self, folder: int | None = None) -> Iterator[Sample]:
        """All sounds, or those of a folder."""
        where, values = ("", ()) if folder is None else (" WHERE folder = ?", (folder,))
        for row in self._connection.execute(f"SELECT {_COLUMNS} FROM samples{where}", values):
            yield _sample(row)

    def rows_under(self, path: Path) -> list[int]:
        """Rows of the sounds in a folder, which may lie inside one of the library."""
        start = _raw(path) + os.fsencode(os.sep)
        query = "SELECT row FROM samples WHERE substr(path, 1, ?) = ?"
        return [row for (row,) in self._all(query, len(start), start)]

    def sample(self, row: int) -> Sample:
        """One sound.

        Raises:
            NotFound: there is none in this row.
        """
        found = self._one(f"SELECT {_COLUMNS} FROM samples WHERE row = ?", row)
        if found is None:
            raise NotFound(f"no sound {row} in the library")
        return _sample(found)

    def put(self, samples: Iterable[Sample]) -> None:
        """Write sounds whose embeddings are in the matrix already."""
        values = [
            (s.row, s.folder, _raw(s.path), s.size, s.mtime_ns, _encode(s.about)) for s in samples
        ]
        with self.writing() as connection:
            connection.executemany(
                "DELETE FROM problems WHERE path = ?", [(value[2],) for value in values]
            )
            connection.executemany(
                f"INSERT OR REPLACE INTO samples ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", values
            )

    def forget(self, rows: Iterable[int]) -> None:
        """Delete sounds."""
        with self.writing() as connection:
            connection.executemany("DELETE FROM samples WHERE row = ?", [(row,) for row in rows])

    def forget_all(self) -> None:
        """Delete every sound and every problem; the folders stay."""
        with self.writing() as connection:
            connection.execute("DELETE FROM samples")
            connection.execute("DELETE FROM problems")

    # --- what could not be read

    def problems(self, folder: int) -> list[Problem]:
        """What could not be read in a folder, by path."""
        query = "SELECT path, size, mtime_ns, reason FROM problems WHERE folder = ? ORDER BY path"
        rows = self._all(query, folder)
        return [Problem(_path(path), size, time, reason) for path, size, time, reason in rows]

    def note_problems(
        self, folder: int, problems: Iterable[Problem], solved: Iterable[Path]
    ) -> None:
        """Note files that cannot be read, and forget others."""
        with self.writing() as connection:
            connection.executemany(
                "DELETE FROM problems WHERE path = ?", [(_raw(path),) for path in solved]
            )
            connection.executemany(
                "INSERT OR REPLACE INTO problems VALUES (?, ?, ?, ?, ?)",
                [(_raw(p.path), folder, p.size, p.mtime_ns, p.reason) for p in problems],
            )

    def counts(self) -> dict[int, tuple[int, int]]:
        """Sounds and problems of each folder."""
        sounds = dict(self._all("SELECT folder, count(*) FROM samples GROUP BY folder"))
        problems = dict(self._all("SELECT folder, count(*) FROM problems GROUP BY folder"))
        return {
            folder: (sounds.get(folder, 0), problems.get(folder, 0))
            for folder in sounds.keys() | problems.keys()
        }

    def _one(self, query: str, *values: Any) -> Any:
        return self._connection.execute(query, values).fetchone()

    def _all(self, query: str, *values: Any) -> list[Any]:
        return self._connection.execute(query, values).fetchall()


def _raw(path: Path) -> bytes:
    """A path's own bytes: names need not be text."""
    return os.fsencode(path)


def _path(raw: bytes) -> Path:
    return Path(os.fsdecode(raw))


def _sample(row: tuple[int, int, bytes, int, int, bytes]) -> Sample:
    number, folder, path, size, mtime_ns, about = row
    return Sample(
        row=number,
        folder=folder,
        path=_path(path),
        size=size,
        mtime_ns=mtime_ns,
        about=_decode(about),
    )
