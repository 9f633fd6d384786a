"""Routes of the sample library: its folders, the search in them, and the sounds themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from server.audio.fence.pool import DECODERS
from server.errors import Forbidden, NotFound
from server.file_names import path_of
from server.http.files import MEDIA_TYPES, sound_answer
from server.http.io import answer, body, client_of, query
from server.http.openapi import Operation
from server.sample_library.library import FolderState, LibraryState, SampleLibrary
from server.sample_library.query import SampleSearch
from server.sample_library.sample import Sample
from server.sample_library.views import LibraryMap, LibrarySound, map_view, shown_path, sound_view

__all__ = ["LibraryRoutes"]

FolderPath = Annotated[str, Meta(min_length=1, max_length=4000, description="path of the folder")]
_NOT_PLAYED: Final = (".aif", ".aiff")
"""Of the browsers, only Safari plays AIFF."""
_CONVERT_S: Final = 600.0
"""AIFF up to this long is answered as WAV."""


class FolderName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A folder on the server's machine."""

    path: FolderPath


class FolderPause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a folder is indexed."""

    path: FolderPath
    paused: bool


class SoundDownload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a sound is answered."""

    download: Annotated[
        bool, Meta(description="true: the file itself, for saving; else as browsers play it")
    ] = False


class Removed(msgspec.Struct, frozen=True):
    """A folder that was forgotten."""

    sounds: int
    """How many sounds it had."""


class UnreadableFile(msgspec.Struct, frozen=True):
    """A file that is not in the library, and why."""

    path: str
    reason: str


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
                *("GET", "/v1/library/map", self.map, "Where the sounds are on the map"),
                answer=LibraryMap,
                errors=(403, 409, 507),
            ),
            Operation(
                *("GET", "/v1/library/sounds/{id:int}/facts", self.facts),
                "What is known of a sound",
                answer=LibrarySound,
                errors=(403, 404, 409, 507),
            ),
            Operation(
                *("GET", "/v1/library/sounds/{id:int}", self.sound),
                "A sound of the library; supports ranges",
                query=SoundDownload,
                content="audio/*",
                errors=(403, 404, 409, 415, 507),
            ),
        )

    async def search(self, request: Request) -> Response:
        found = await self._allowed(request).search(query(request, SampleSearch))
        return answer([sound_view(sample, similarity) for sample, similarity in found])

    async def state(self, request: Request) -> Response:
        return answer(await self._allowed(request).state())

    async def add(self, request: Request) -> Response:
        library, folder = self._allowed(request), await body(request, FolderName)
        return answer(await library.add(path_of(folder.path)), 202)

    async def pause(self, request: Request) -> Response:
        library, asked = self._allowed(request), await body(request, FolderPause)
        return answer(await library.pause(path_of(asked.path), asked.paused))

    async def remove(self, request: Request) -> Response:
        library = self._allowed(request)
        return answer(Removed(await library.remove(path_of(query(request, FolderName).path))))

    async def problems(self, request: Request) -> Response:
        library = self._allowed(request)
        found = await library.problems(path_of(query(request, FolderName).path))
        return answer(
            [UnreadableFile(shown_path(problem.path), problem.reason) for problem in found]
        )

    async def map(self, request: Request) -> Response:
        return answer(map_view(await self._allowed(request).layout()))

    async def facts(self, request: Request) -> Response:
        return answer(sound_view(await self._named(request), None))

    async def sound(self, request: Request) -> Response:
        sample, download = await self._named(request), query(request, SoundDownload).download
        path = sample.path
        if not await asyncio.to_thread(path.is_file):
            raise NotFound(f"{shown_path(path)} is gone")
        if (
            not download
            and path.suffix.lower() in _NOT_PLAYED
            and sample.about.seconds <= _CONVERT_S
        ):
            wav = await DECODERS.in_thread(DECODERS.converted, path, "wav16")
            return Response(wav, media_type="audio/wav")
        name = shown_path(Path(path.name)) if download else None
        return await sound_answer(request, path, MEDIA_TYPES.get(path.suffix.lower()), name)

    async def _named(self, request: Request) -> Sample:
        number = min(request.path_params["id"], 2**31)
        return await self._allowed(request).sample(number)

    def _allowed(self, request: Request) -> SampleLibrary:
        """The library holds the files of whoever runs the server.

        Raises:
            Forbidden: an ordinary client.
        """
        if not client_of(request).sees_all:
            raise Forbidden("this token may not use the sample library of the server's machine")
        return self._library
