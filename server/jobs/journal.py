"""Every acknowledged job and every finished take, on disk (SQLite, WAL).

A job is written before it is acknowledged and its end before anybody is notified, with
``synchronous=FULL``: after a kill or a power cut the journal says what the clients know. All
work is done by one thread; what arrives while it writes goes into the next transaction, so a
burst of jobs costs few syncs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from server.errors import Conflict, RenderError, StorageFull
from server.jobs.job import Job, JobState

__all__ = ["Journal"]

log = logging.getLogger("audioldm.journal")

T = TypeVar("T")
Commit = tuple[Job, "asyncio.Future[None]"]

SCHEMA_VERSION: Final = 1
LOCK_TIMEOUT_S: float = 5.0
"""A predecessor that is just dying may take this long to let go."""
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
"""

_encode = msgspec.msgpack.Encoder(enc_hook=str).encode
_decode_job = msgspec.msgpack.Decoder(Job, dec_hook=lambda kind, value: kind(value)).decode


class Journal:
    """The file at ``path``, held by one process at a time.

    ``max_recoveries`` is how often a job may be running when the server dies; then it is taken
    for the cause and failed.
    """

    def __init__(self, path: Path, *, remembered: int = 2000, max_recoveries: int = 5) -> None:
        self.path = path
        self._remembered = remembered
        self._max_recoveries = max_recoveries
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "journal")
        self._pending: list[Commit] = []
        self._unsaved: dict[str, Job] = {}
        self._writing: asyncio.Task[None] | None = None

    def load(self) -> list[Job]:
        """Unfinished jobs and the newest finished ones, oldest first; called before all else.

        What was running is queued again. A file that is damaged is moved aside; one that cannot
        be opened (read-only disk) is tried again at each write, which then says what is wrong.

        Raises:
            Conflict: another process holds the journal.
        """
        try:
            return self._thread.submit(self._load).result()
        except (sqlite3.Error, OSError) as error:
            if "locked" in str(error):
                raise Conflict(f"{self.path} is in use by another audioldm process") from error
            log.warning("%s cannot be opened: %s", self.path, error)
            return []

    async def record(self, job: Job) -> None:
        """Returns when ``job`` is safely on disk.

        Raises:
            StorageFull: it could not be written. The end of a job is kept and written later.
        """
        done = asyncio.get_running_loop().create_future()
        self._pending.append((job, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_pending())
        await done

    async def query(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """``work`` in one transaction on the journal's thread.

        Raises:
            StorageFull: the file cannot be read or written.
        """
        try:
            future = self._thread.submit(self._transaction, work)
        except RuntimeError as error:
            raise StorageFull(f"the journal {self.path} is closed") from error
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Write what is left and let the file go."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    async def _write_pending(self) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            for job, _ in batch:
                self._unsaved[job.id] = job
            jobs = tuple(self._unsaved.values())
            try:
                await self.query(partial(_write_jobs, jobs=jobs))
            except StorageFull as error:
                self._refuse(batch, error)
            except Exception as error:
                log.exception("%s", self.path)
                for job, _ in batch:
                    self._unsaved.pop(job.id, None)
                _settle(batch, StorageFull(f"the journal {self.path} failed: {error!r}"))
            else:
                for job in jobs:
                    del self._unsaved[job.id]
                _settle(batch, None)

    def _refuse(self, batch: list[Commit], error: StorageFull) -> None:
        for job, _ in batch:
            if not job.state.final:
                del self._unsaved[job.id]
        _settle(batch, error)

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._open()
            with connection:
                connection.execute("BEGIN")
                return work(connection)
        except (sqlite3.Error, OSError) as error:
            raise StorageFull(f"the journal {self.path} cannot be written: {error}") from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=LOCK_TIMEOUT_S
            )
            try:
                # Exclusive: a second server on the same journal would run every job again.
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("COMMIT")
                connection.executescript(_SCHEMA)
                # Not written twice: on a full disk what is there can still be read.
                if connection.execute("PRAGMA user_version").fetchone() != (SCHEMA_VERSION,):
                    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _load(self) -> list[Job]:
        try:
            connection = self._open()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            self._move_aside(error)
            connection = self._open()
        jobs = [self._revived(*row) for row in _rows(connection, self._remembered)]
        begun = [job for job, had_begun in jobs if had_begun]
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                _write_jobs(connection, begun)
                connection.executemany(
                    "UPDATE jobs SET recoveries = recoveries + 1 WHERE id = ?",
                    [(job.id,) for job in begun],
                )
        except sqlite3.OperationalError as error:
            log.warning("%d jobs begin again, which could not be written: %s", len(begun), error)
        return [job for job, _ in jobs]

    def _revived(self, job: Job, recoveries: int) -> tuple[Job, bool]:
        """The job as it goes on after a restart, and whether it was running before."""
        if job.state is not JobState.RUNNING:
            return job, False
        if recoveries >= self._max_recoveries:
            sentence = f"the server died {recoveries + 1} times while it rendered this job"
            return msgspec.structs.replace(
                job,
                state=JobState.FAILED,
                error_code=RenderError.code,
                error=sentence,
                finished_s=time.time(),
            ), True
        # That start was not the job's fault as far as anybody knows.
        attempts = max(0, job.attempts - 1)
        return msgspec.structs.replace(job, state=JobState.QUEUED, step=0, attempts=attempts), True

    def _move_aside(self, error: sqlite3.Error) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
        log.warning("%s is damaged (%s); it is now %s", self.path, error, aside)
        self.path.replace(aside)
        for ending in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + ending).unlink()

    def _close(self) -> None:
        if self._unsaved:
            with contextlib.suppress(StorageFull):
                self._transaction(
                    lambda connection: _write_jobs(connection, self._unsaved.values())
                )
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _rows(connection: sqlite3.Connection, remembered: int) -> Iterator[tuple[Job, int]]:
    unfinished = "state IN ('queued', 'running')"
    newest = f"SELECT rowid FROM jobs WHERE NOT {unfinished} ORDER BY rowid DESC LIMIT ?"
    query = (
        f"SELECT id, data, recoveries FROM jobs WHERE {unfinished} OR rowid IN ({newest}) "
        "ORDER BY rowid"
    )
    for job_id, data, recoveries in connection.execute(query, (remembered,)).fetchall():
        try:
            yield _decode_job(data), recoveries
        except msgspec.DecodeError as error:
            log.warning("job %s is of another version and left alone: %s", job_id, error)


def _write_jobs(connection: sqlite3.Connection, jobs: Iterable[Job]) -> None:
    for job in jobs:
        connection.execute(
            "INSERT INTO jobs (id, owner, request_id, state, created_s, data) "
            "VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET state = excluded.state, data = excluded.data",
            (job.id, job.owner, job.request_id, job.state.value, job.created_s, _encode(job)),
        )
        for number, take in enumerate(job.takes, start=1):
            connection.execute(
                "INSERT INTO takes (job_id, number, owner, path, bytes, kind, prompt, created_s,"
                " data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job_id, number)"
                " DO UPDATE SET path = excluded.path, bytes = excluded.bytes, data = excluded.data",
                (
                    job.id,
                    number,
                    job.owner,
                    str(take.path),
                    _size(take.path),
                    job.request.__struct_config__.tag,
                    job.request.prompt,
                    job.finished_s,
                    _encode(take),
                ),
            )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _settle(batch: list[Commit], error: StorageFull | None) -> None:
    for _, done in batch:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
