"""The journal's SQLite file: held by one program, checked when it is opened, readable by others.

A damaged file is set aside. What can be read of it goes into a new one (:mod:`.salvage`), and
``damage`` says so for as long as the damaged file lies there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from pathlib import Path
from typing import IO, Final

from server.errors import Conflict
from server.jobs.salvage import Salvaged, salvaged
from server.jobs.sqlite_pages import MAGIC, WAL_HEADER
from server.locks import try_lock

__all__ = ["JournalFile", "back_up", "is_damage"]

log = logging.getLogger("audioldm.journal")

SCHEMA_VERSION: Final = 1
_PAUSE_S: Final = 0.05
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, request_id TEXT NOT NULL, state TEXT NOT NULL,
    created_s REAL NOT NULL, recoveries INTEGER NOT NULL DEFAULT 0, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state);
CREATE TABLE IF NOT EXISTS takes (
    job_id TEXT NOT NULL, number INTEGER NOT NULL, owner TEXT NOT NULL, path TEXT NOT NULL,
    bytes INTEGER NOT NULL, kind TEXT NOT NULL, prompt TEXT NOT NULL, created_s REAL NOT NULL,
    tags TEXT NOT NULL DEFAULT '', kept INTEGER NOT NULL DEFAULT 0, data BLOB NOT NULL,
    PRIMARY KEY (job_id, number));
CREATE INDEX IF NOT EXISTS takes_by_age ON takes (created_s);
CREATE TABLE IF NOT EXISTS heard (
    job_id TEXT NOT NULL, number INTEGER NOT NULL, tower TEXT NOT NULL, embedding BLOB NOT NULL,
    PRIMARY KEY (job_id, number, tower));
CREATE TABLE IF NOT EXISTS names (
    job_id TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, folder TEXT NOT NULL,
    PRIMARY KEY (job_id, number));
"""


class JournalFile:
    """The file at ``path``. Another program may let go of it within ``patience_s``."""

    def __init__(self, path: Path, patience_s: float) -> None:
        self.path = path
        self.damage = ""
        """What was found damaged, where it lies now and what was lost."""
        self._patience_s = patience_s
        self._lock: IO[bytes] | None = None

    def open(self) -> sqlite3.Connection:
        """A connection that has been checked.

        Raises:
            Conflict: another program holds the journal.
            sqlite3.Error, OSError: it cannot be opened or written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._hold()
        try:
            connection = self._checked()
            if set_aside := _set_aside(self.path):
                names = ", ".join(path.name for path in set_aside)
                self.damage = self.damage or (
                    f"the journal was damaged, and not all could be read; look at {names} in "
                    f"{self.path.parent}, then delete it"
                )
        except BaseException:
            self.close()
            raise
        return connection

    def close(self) -> None:
        """Let other programs have the journal."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _hold(self) -> None:
        """A second server on the same journal would run every job again."""
        if self._lock is not None:
            return
        file = self.path.with_name(f"{self.path.name}.lock").open("ab")
        deadline_s = time.monotonic() + self._patience_s
        while not try_lock(file):
            if time.monotonic() > deadline_s:
                file.close()
                raise Conflict(f"{self.path} is in use by another audioldm process")
            time.sleep(_PAUSE_S)
        self._lock = file

    def _checked(self) -> sqlite3.Connection:
        fresh = _fresh(self.path)
        if not self.path.exists() and fresh.exists():
            fresh.replace(self.path)  # the last run died while it replaced a damaged file
        damage = _damage_in_bytes(self.path)
        if not damage and not self.path.exists():
            self._replace(Salvaged())
        if not damage:
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                damage = str(error)
        self._salvage(damage)
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        """A connection to a file whose structure is whole.

        Raises:
            sqlite3.DatabaseError: it is not.
        """
        _keep_private(self.path)
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=self._patience_s
        )
        try:
            _check(connection)
            _set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _salvage(self, damage: str) -> None:
        found = salvaged(self.path)
        aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
        self._replace(found, aside)
        self.damage = f"the journal was damaged ({damage}) and is now {aside.name}: {found}"
        log.error("%s; look at it in %s, then delete it", self.damage, aside.parent)
        if found.lost:
            log.error("jobs that are lost: %s", ", ".join(found.lost))

    def _replace(self, found: Salvaged, aside: Path | None = None) -> None:
        """A new file with the rows of ``found``; the one before it goes ``aside``."""
        fresh = _fresh(self.path)
        for path in (fresh, fresh.with_name(f"{fresh.name}-journal")):
            path.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(fresh, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(_SCHEMA)
            with connection:
                connection.execute("BEGIN")
                found.write_to(connection)
        finally:
            connection.close()
        for ending in ("", "-wal") if aside else ():
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + ending).replace(f"{aside}{ending}")
        self.path.with_name(f"{self.path.name}-shm").unlink(missing_ok=True)
        fresh.replace(self.path)


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file itself is not what it wrote."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def back_up(path: Path, target: Path) -> int:
    """Copy a journal, also one that a server is writing to; how many jobs are in the copy.

    Raises:
        Conflict: there is a file at ``target`` already.
        sqlite3.Error, OSError: it cannot be read or written.
    """
    if target.exists():
        raise Conflict(f"{target} exists already; name a new file")
    if not path.exists():
        raise FileNotFoundError(f"there is no journal at {path}")
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with (
            contextlib.closing(sqlite3.connect(path)) as source,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            source.execute("PRAGMA query_only=1")
            source.backup(copy)
            _check(copy)
            (jobs,) = copy.execute("SELECT count(*) FROM jobs").fetchone()
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return int(jobs)


def _keep_private(path: Path) -> None:
    """Prompts and paths are nobody else's business; SQLite gives its log the file's mode."""
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with contextlib.suppress(OSError):  # it is not there, or the disk is read-only
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)


def _check(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        error = sqlite3.DatabaseError(" ".join(str(found).split()))
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    # A server of an earlier version keeps the file locked.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")
    connection.executescript(_SCHEMA)
    # Not written twice: on a full disk what is there can still be read.
    if connection.execute("PRAGMA user_version").fetchone() != (SCHEMA_VERSION,):
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def _damage_in_bytes(path: Path) -> str:
    """What SQLite would take for an empty file, forgetting what is in the log beside it."""
    log_file = path.with_name(f"{path.name}-wal")
    has_log = log_file.exists() and log_file.stat().st_size > WAL_HEADER
    if not path.exists():
        return "the file is gone, its log is not" if has_log else ""
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    if not head:
        return "it is empty"
    return "" if head == MAGIC else "it does not begin like one"


def _fresh(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _set_aside(path: Path) -> list[Path]:
    found = path.parent.glob(f"{path.name}.damaged-*")
    return sorted(p for p in found if not p.name.endswith(("-wal", "-shm")))
