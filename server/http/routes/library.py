"""Routes of the sample library: its folders, the search in them, and the sounds themselves."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from server.errors import Forbidden, NotFound
from server.http.files import sound_answer
from server.http.io import answer, body, client_of, query
from server.http.openapi import Operation
from server.sample_library.library import FolderState, LibraryState, SampleLibrary
from server.sample_library.query import SampleSearch
from server.sample_library.sample import Character, Sample

__all__ = ["LibraryRoutes", "LibrarySound", "note_name"]

FolderPath = Annotated[str, Meta(min_length=1, max_length=4000, description="path of the folder")]
_MEDIA: Final = {".wav": "audio/wav", ".flac": "audio/flac"}
_NOTES: Final = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


class FolderName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A folder on the server's machine."""

    path: FolderPath


class FolderPause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a folder is indexed."""

    path: FolderPath
    paused: bool


class Removed(msgspec.Struct, frozen=True):
    """A folder that was forgotten."""

    sounds: int
    """How many sounds it had."""


class UnreadableFile(msgspec.Struct, frozen=True):
    """A file that is not in the library, and why."""

    path: str
    reason: str


class LibrarySound(msgspec.Struct, frozen=True, kw_only=True):
    """A sound of the library."""

    id: int
    path: str
    name: str
    seconds: float
    sample_rate: int
    channels: int
    character: Character
    bpm: float | None = None
    note: str = ""
    """Such as ``A4``; empty where it is not a single note."""
    cents: float | None = None
    """How far it is from that note."""
    lufs: float | None = None
    similarity: float | None = None


class LibraryRoutes:
    """``/v1/library``, for clients that see everything."""

    def __init__(self, library: SampleLibrary) -> None:
        self._library = library

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What is answered, and how it is described."""
        folders = "/v1/library/folders"
        return (
            Operation(
                *("GET", "/v1/library", self.search, "Search the sample library"),
                query=SampleSearch,
                answer=list[LibrarySound],
                errors=(403, 404, 409, 415, 507),
            ),
            Operation(
                *("GET", "/v1/library/state", self.state, "Its folders, and indexing"),
                answer=LibraryState,
                errors=(403, 507),
            ),
            Operation(
                *("POST", folders, self.add, "Add a folder; it is indexed in the background"),
                body=FolderName,
                answer=FolderState,
                status=202,
                errors=(403, 409, 507),
            ),
            Operation(
                *("PATCH", folders, self.pause, "Stop to index a folder, or go on"),
                body=FolderPause,
                answer=FolderState,
                errors=(403, 404, 409, 507),
            ),
            Operation(
                *("DELETE", folders, self.remove, "Forget a folder; its files stay"),
                query=FolderName,
                answer=Removed,
                errors=(403, 404, 409, 507),
            ),
            Operation(
                *("GET", "/v1/library/problems", self.problems, "Files that cannot be read"),
                query=FolderName,
                answer=list[UnreadableFile],
                errors=(403, 404, 409, 507),
            ),
            Operation(
                *("GET", "/v1/library/sounds/{id:int}", self.sound),
                "A sound of the library; supports ranges",
                content="audio/*",
                errors=(403, 404, 409, 507),
            ),
        )

    async def search(self, request: Request) -> Response:
        found = await self._allowed(request).search(query(request, SampleSearch))
        return answer([sound_view(sample, similarity) for sample, similarity in found])

    async def state(self, request: Request) -> Response:
        return answer(await self._allowed(request).state())

    async def add(self, request: Request) -> Response:
        library, folder = self._allowed(request), await body(request, FolderName)
        return answer(await library.add(_path(folder.path)), 202)

    async def pause(self, request: Request) -> Response:
        library, asked = self._allowed(request), await body(request, FolderPause)
        return answer(await library.pause(_path(asked.path), asked.paused))

    async def remove(self, request: Request) -> Response:
        library = self._allowed(request)
        return answer(Removed(await library.remove(_path(query(request, FolderName).path))))

    async def problems(self, request: Request) -> Response:
        library = self._allowed(request)
        found = await library.problems(_path(query(request, FolderName).path))
        return answer([UnreadableFile(_text(problem.path), problem.reason) for problem in found])

    async def sound(self, request: Request) -> Response:
        number = min(request.path_params["id"], 2**31)
        sample = await self._allowed(request).sample(number)
        if not sample.path.is_file():
            raise NotFound(f"{_text(sample.path)} is gone")
        return await sound_answer(request, sample.path, _MEDIA.get(sample.path.suffix.lower()))

    def _allowed(self, request: Request) -> SampleLibrary:
        """The library holds the files of whoever runs the server.

        Raises:
            Forbidden: an ordinary client.
        """
        if not client_of(request).sees_all:
            raise Forbidden("this token may not use the sample library of the server's machine")
        return self._library


def sound_view(sample: Sample, similarity: float | None) -> LibrarySound:
    """What clients see of a sound."""
    about = sample.about
    name, cents = note_name(about.note)
    return LibrarySound(
        id=sample.row,
        path=_text(sample.path),
        name=_text(Path(sample.path.name)),
        seconds=round(about.seconds, 3),
        sample_rate=about.sample_rate,
        channels=about.channels,
        character=about.character,
        bpm=about.bpm,
        note=name,
        cents=cents,
        lufs=None if about.lufs is None else round(about.lufs, 1),
        similarity=None if similarity is None else round(similarity, 4),
    )


def note_name(midi: float | None) -> tuple[str, float | None]:
    """The nearest note's name, and how many cents ``midi`` lies above it.

    >>> note_name(69.1)
    ('A4', 10.0)
    """
    if midi is None:
        return "", None
    nearest = math.floor(midi + 0.5)
    return f"{_NOTES[nearest % 12]}{nearest // 12 - 1}", round(100.0 * (midi - nearest), 1)


def _path(text: str) -> Path:
    return Path(text.replace("\0", ""))


def _text(path: Path) -> str:
    """A path as text; bytes that are none are shown as replacement characters."""
    return os.fsencode(path).decode("utf-8", "replace")
