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

from server.errors import Conflict, RenderError, StorageDamaged, StorageFull
from server.jobs.job import Job, JobState, decode_job
from server.jobs.journal_file import JournalFile, is_damage
from server.jobs.remembered import REMEMBERED
from server.messages import encode

__all__ = ["Journal"]

log = logging.getLogger("audioldm.journal")

T = TypeVar("T")
Commit = tuple[Job, "asyncio.Future[None]"]

LOCK_TIMEOUT_S: float = 5.0
"""A predecessor that is just dying may take this long to let go."""
_Refusal = StorageFull | StorageDamaged
_REFUSALS: Final = (StorageFull, StorageDamaged)


class Journal:
    """The file at ``path``, held by one process at a time.

    ``max_recoveries`` is how often a job may be running when the server dies; then it is taken
    for the cause and failed.
    """

    def __init__(
        self, path: Path, *, remembered: int = REMEMBERED, max_recoveries: int = 5
    ) -> None:
        self.path = path
        self._file = JournalFile(path, LOCK_TIMEOUT_S)
        self._broken = ""
        """Why nothing new is promised until the next start."""
        self._unread = ""
        """Why what it holds was not taken up."""
        self._remembered = remembered
        self._max_recoveries = max_recoveries
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "journal")
        self._pending: list[Commit] = []
        self._unsaved: dict[str, Job] = {}
        self._writing: asyncio.Task[None] | None = None

    def load(self) -> list[Job]:
        """Unfinished jobs and the newest finished ones, oldest first; called before all else.

        What was running is queued again. Of a file that is damaged, what can be read is taken up.
        One that cannot be opened (read-only disk) is tried again at each write, which then says
        what is wrong. ``notice`` says both.

        Raises:
            Conflict: another process holds the journal.
        """
        try:
            return self._thread.submit(self._load).result()
        except (sqlite3.Error, OSError) as error:
            if "locked" in str(error):
                raise Conflict(f"{self.path} is in use by another audioldm process") from error
            if is_damage(error):
                self._found_damage(error)
            self._unread = (
                f"the journal could not be opened ({error}); what was unfinished in it goes on "
                "after a restart"
            )
            log.warning("%s: %s", self.path, self._unread)
            return []

    @property
    def notice(self) -> str:
        """What everybody should know of the journal's state; empty while it is whole."""
        return "; ".join(filter(None, (self._broken, self._file.damage, self._unread)))

    async def record(self, job: Job) -> None:
        """Returns when ``job`` is safely on disk.

        Raises:
            StorageFull: it could not be written. The end of a job is kept and written later.
            StorageDamaged: the journal is damaged, so that a new job would be forgotten.
        """
        if self._broken and not job.state.final:
            raise StorageDamaged(self._broken)
        done = asyncio.get_running_loop().create_future()
        self._pending.append((job, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_pending())
        await done

    async def query(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """``work`` in one transaction on the journal's thread.

        Raises:
            StorageFull: the file cannot be read or written.
            StorageDamaged: it is damaged.
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
            except _REFUSALS as error:
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

    def _refuse(self, batch: list[Commit], error: _Refusal) -> None:
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
            if is_damage(error):
                raise self._found_damage(error) from error
            raise StorageFull(f"the journal {self.path} cannot be written: {error}") from error

    def _found_damage(self, error: Exception) -> StorageDamaged:
        if not self._broken:
            self._broken = (
                f"the journal was found damaged while in use ({error}); restart the program, "
                "which takes up what can be read"
            )
            log.error("%s: %s", self.path, self._broken)
        return StorageDamaged(self._broken)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._file.open()
        return self._connection

    def _load(self) -> list[Job]:
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

    def _close(self) -> None:
        if self._unsaved:
            with contextlib.suppress(*_REFUSALS):
                self._transaction(
                    lambda connection: _write_jobs(connection, self._unsaved.values())
                )
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._file.close()


def _rows(connection: sqlite3.Connection, remembered: int) -> Iterator[tuple[Job, int]]:
    unfinished = "state IN ('queued', 'running')"
    newest = f"SELECT rowid FROM jobs WHERE NOT {unfinished} ORDER BY rowid DESC LIMIT ?"
    query = (
        f"SELECT id, data, recoveries FROM jobs WHERE {unfinished} OR rowid IN ({newest}) "
        "ORDER BY rowid"
    )
    for job_id, data, recoveries in connection.execute(query, (remembered,)).fetchall():
        try:
            yield decode_job(data), recoveries
        except msgspec.DecodeError as error:
            log.warning("job %s is of another version and left alone: %s", job_id, error)


def _write_jobs(connection: sqlite3.Connection, jobs: Iterable[Job]) -> None:
    for job in jobs:
        connection.execute(
            "INSERT INTO jobs (id, owner, request_id, state, created_s, data) "
            "VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET state = excluded.state, data = excluded.data",
            (job.id, job.owner, job.request_id, job.state.value, job.created_s, _encoded(job)),
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
                    encode(take),
                ),
            )


def _encoded(job: Job) -> bytes:
    return encode(msgspec.structs.replace(job, effort=msgspec.UNSET))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _settle(batch: list[Commit], error: _Refusal | None) -> None:
    for _, done in batch:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
