"""The library of takes: search by words, tags and sound; retention by size and age."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from server.errors import InvalidRequest, NotFound
from server.jobs.job import TakeInfo, decode_take
from server.jobs.journal import Journal
from server.jobs.sound_search import SoundSearch

__all__ = ["FolderCount", "Library", "StoredTake", "TakeMarks", "TakeSearch"]

log = logging.getLogger("audioldm.library")

_COLUMNS: Final = (
    "takes.job_id, takes.number, owner, kind, prompt, created_s, bytes, tags, kept,"
    " coalesce(name, ''), coalesce(folder, ''), data"
)
_TAKES: Final = (
    "takes LEFT JOIN names ON names.job_id = takes.job_id AND names.number = takes.number"
)
_ONE: Final = "takes.job_id = ? AND takes.number = ?"
TakeName = Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
TakeFolder = Annotated[
    str, Meta(max_length=200, pattern=r"^$|^[^/\x00-\x1f\x7f]+(/[^/\x00-\x1f\x7f]+)*$")
]


class TakeSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conditions on takes, of which all must hold; newest first, or with ``like`` most similar."""

    query: Annotated[
        str, Meta(max_length=200, description="words of the prompt or of its own name")
    ] = ""
    like: Annotated[
        str, Meta(max_length=200, description="what they sound like, in words: 'rain on leaves'")
    ] = ""
    tag: Annotated[str, Meta(max_length=50, description="a tag")] = ""
    kept: Annotated[bool | None, Meta(description="favourites, or all others")] = None
    folder: Annotated[
        str, Meta(max_length=200, description="a folder of takes, with those in it: drums/kicks")
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    offset: Annotated[int, Meta(ge=0, le=10**9)] = 0


class TakeMarks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Marks of a take; None leaves a mark as it is."""

    tags: (
        Annotated[tuple[Annotated[str, Meta(pattern=r"^[^\s,]{1,50}$")], ...], Meta(max_length=50)]
        | None
    ) = None
    kept: Annotated[bool | None, Meta(description="a favourite: never deleted to make room")] = None
    name: Annotated[TakeName | None, Meta(description="a name of your own; empty: none")] = None
    folder: Annotated[
        TakeFolder | None, Meta(description="a folder of takes: drums/kicks; empty: none")
    ] = None


class FolderCount(msgspec.Struct, frozen=True):
    """A folder of takes; its name is a mark, the files stay where they are."""

    folder: str
    takes: int


class StoredTake(msgspec.Struct, frozen=True, kw_only=True):
    """A take in the library."""

    job_id: str
    number: int
    owner: str
    kind: str
    prompt: str
    created_s: float
    bytes: int
    tags: tuple[str, ...]
    kept: bool
    name: str
    """Its own; empty: none."""
    folder: str
    take: TakeInfo
    similarity: float | None = None
    """CLAP cosine similarity of its sound with what was searched for."""


class Library:
    """The takes in the journal; ``owner`` None means those of all owners."""

    def __init__(self, journal: Journal, by_sound: SoundSearch | None = None) -> None:
        self._journal = journal
        self._by_sound = by_sound

    async def search(self, search: TakeSearch, owner: str | None = None) -> list[StoredTake]:
        """Takes that match, whose files are there.

        Raises:
            InvalidRequest: a search by sound, which this server does not offer.
        """
        where, values = _conditions(search, owner)
        if search.like.strip():
            return await self._search_by_sound(search, where, values)
        # The conditions are made of constants; every value is bound.
        query = f"SELECT path, {_COLUMNS} FROM {_TAKES} WHERE {where} ORDER BY takes.rowid DESC"

        def page(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            there = (row for row in connection.execute(query, values) if Path(row[0]).exists())
            return list(islice(there, search.offset, search.offset + search.limit))

        return [_stored(row[1:]) for row in await self._journal.query(page)]

    async def _search_by_sound(
        self, search: TakeSearch, where: str, values: list[str | int]
    ) -> list[StoredTake]:
        if self._by_sound is None:
            raise InvalidRequest("like: this server cannot search by sound")
        query = (
            f"SELECT takes.job_id, takes.number, data FROM {_TAKES} WHERE {where}"
            " ORDER BY takes.rowid DESC"
        )
        rows = await self._journal.query(lambda c: c.execute(query, values).fetchall())
        takes = {
            (job_id, number): found
            for job_id, number, data in rows
            if (found := decode_take(data)).path.exists()
        }
        ranked = await self._by_sound.rank(search.like, takes)
        chosen = ranked[search.offset : search.offset + search.limit]
        similar = []
        for take, similarity in chosen:
            with contextlib.suppress(NotFound):  # deleted meanwhile
                stored = await self.find(*take)
                similar.append(msgspec.structs.replace(stored, similarity=round(similarity, 4)))
        return similar

    async def find(self, job_id: str, number: int, owner: str | None = None) -> StoredTake:
        """One take.

        Raises:
            NotFound: no such take, or another owner's.
        """
        query = f"SELECT {_COLUMNS} FROM {_TAKES} WHERE {_ONE}"
        row = await self._journal.query(lambda c: c.execute(query, (job_id, number)).fetchone())
        if row is None or owner not in (None, row[2]):
            raise NotFound(f"no take {number} of job {job_id!r}")
        return _stored(row)

    async def mark(
        self, job_id: str, number: int, marks: TakeMarks, owner: str | None = None
    ) -> StoredTake:
        """Change the marks of a take.

        Raises:
            NotFound: no such take, or another owner's.
        """
        found = await self.find(job_id, number, owner)
        tags = found.tags if marks.tags is None else tuple(dict.fromkeys(marks.tags))
        kept = found.kept if marks.kept is None else marks.kept
        name = found.name if marks.name is None else marks.name.strip()
        folder = found.folder if marks.folder is None else marks.folder
        marked = msgspec.structs.replace(found, tags=tags, kept=kept, name=name, folder=folder)
        await self._journal.query(lambda c: _mark(c, marked))
        return marked

    async def folders(self, owner: str | None = None) -> list[FolderCount]:
        """The folders that hold takes, by name."""
        mine = "" if owner is None else " AND owner = ?"
        query = f"SELECT folder, count(*) FROM {_TAKES} WHERE folder != ''{mine} GROUP BY folder"
        values = () if owner is None else (owner,)
        rows = await self._journal.query(lambda c: c.execute(query, values).fetchall())
        return [FolderCount(*row) for row in rows]

    async def delete(self, job_id: str, number: int, owner: str | None = None) -> None:
        """Delete a take and its file.

        Raises:
            NotFound: no such take, or another owner's.
        """
        found = await self.find(job_id, number, owner)
        await self._journal.query(lambda c: _delete(c, [(job_id, number, str(found.take.path))]))

    async def retain(self, max_bytes: int, max_age_s: float) -> int:
        """Delete old takes, except those marked as kept.

        Args:
            max_bytes: total size from which the oldest are deleted; 0: no limit.
            max_age_s: age from which takes are deleted; 0: no limit.

        Returns:
            number of deleted takes.
        """

        def work(connection: sqlite3.Connection) -> int:
            rows = connection.execute(
                "SELECT job_id, number, path, bytes, created_s FROM takes WHERE NOT kept"
                " ORDER BY rowid DESC"
            ).fetchall()
            oldest = time.time() - max_age_s if max_age_s else 0.0
            total, victims = 0, []
            for job_id, number, path, size, created_s in rows:
                total += size
                if (max_bytes and total > max_bytes) or created_s < oldest:
                    victims.append((job_id, number, path))
            return _delete(connection, victims)

        removed = await self._journal.query(work)
        if removed:
            log.info("%d takes were deleted to make room", removed)
        return removed


def _conditions(search: TakeSearch, owner: str | None) -> tuple[str, list[str | int]]:
    """The WHERE clause and the values bound in it."""
    conditions, values = ["1"], list[str | int]()
    for word in search.query.lower().split():
        conditions.append("lower(prompt || ' ' || coalesce(name, '')) LIKE ? ESCAPE '\\'")
        values.append(f"%{_escaped(word)}%")
    if search.folder:
        conditions.append("(folder = ? OR folder LIKE ? ESCAPE '\\')")
        values += [search.folder, f"{_escaped(search.folder)}/%"]
    if search.tag:
        conditions.append("tags LIKE ? ESCAPE '\\'")
        values.append(f"%,{_escaped(search.tag)},%")
    if search.kept is not None:
        conditions.append("kept = ?")
        values.append(int(search.kept))
    if owner is not None:
        conditions.append("owner = ?")
        values.append(owner)
    return " AND ".join(conditions), values


def _mark(connection: sqlite3.Connection, marked: StoredTake) -> None:
    which = (marked.job_id, marked.number)
    tags = f",{','.join(marked.tags)}," if marked.tags else ""
    changed = f"UPDATE takes SET tags = ?, kept = ? WHERE {_ONE}"
    connection.execute(changed, (tags, int(marked.kept), *which))
    named = "INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?)"
    connection.execute(named, (*which, marked.name, marked.folder))


def _delete(connection: sqlite3.Connection, victims: list[tuple[str, int, str]]) -> int:
    for job_id, number, path in victims:
        for table in ("takes", "heard", "names"):
            where = f"DELETE FROM {table} WHERE job_id = ? AND number = ?"
            connection.execute(where, (job_id, number))
        with contextlib.suppress(OSError):
            Path(path).unlink(missing_ok=True)
    return len(victims)


def _stored(row: tuple[Any, ...]) -> StoredTake:
    job_id, number, owner, kind, prompt, created_s, size, tags, kept, name, folder, data = row
    return StoredTake(
        job_id=job_id,
        number=number,
        owner=owner,
        kind=kind,
        prompt=prompt,
        created_s=created_s,
        bytes=size,
        tags=tuple(tags.strip(",").split(",")) if tags else (),
        kept=bool(kept),
        name=name,
        folder=folder,
        take=decode_take(data),
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
