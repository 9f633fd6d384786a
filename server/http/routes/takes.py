"""Routes of takes: the sound itself, and the library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from server.audio.fence.pool import DECODERS
from server.audio.formats import FORMATS, FileFormat
from server.errors import NotFound
from server.http.access import Caller
from server.http.files import MEDIA_TYPES, attachment, sound_answer
from server.http.io import answer, body, client_of, query
from server.http.openapi import Operation
from server.http.take_facts import FactsOfTakes, TakeFacts
from server.http.views import LibraryTake, Views
from server.jobs.library import FolderCount, Library, TakeMarks, TakeSearch

__all__ = ["TakeRoutes"]


class _AsFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Format of the download."""

    format: Annotated[
        FileFormat | None, Meta(description="convert to this format (default: as it is)")
    ] = None
    download: Annotated[bool, Meta(description="for saving instead of playing")] = False


class TakeRoutes:
    """``/v1/jobs/{id}/takes`` and ``/v1/takes``."""

    def __init__(self, views: Views, library: Library | None) -> None:
        self._views = views
        self._library = library
        self._facts = FactsOfTakes()

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What is answered, and how it is described."""
        sound = Operation(
            *("GET", "/v1/jobs/{job_id}/takes/{number:int}", self.take_audio),
            "The sound of a take; supports ranges",
            query=_AsFormat,
            content="audio/*",
            errors=(404, 415),
        )
        if self._library is None:
            return (sound,)
        one = "/v1/takes/{job_id}/{number:int}"
        return (
            sound,
            Operation(
                *("GET", "/v1/takes", self.search_takes, "Search the library of takes"),
                query=TakeSearch,
                answer=list[LibraryTake],
                errors=(507,),
            ),
            Operation(
                *("GET", "/v1/takes/folders", self.folders, "Folders of takes"),
                answer=list[FolderCount],
                errors=(507,),
            ),
            Operation(
                *("GET", f"{one}/facts", self.facts, "Tempo, note or key, and level of a take"),
                answer=TakeFacts,
                errors=(404, 415, 507),
            ),
            Operation(
                *("GET", one, self.get_take, "A take in the library"),
                answer=LibraryTake,
                errors=(404, 507),
            ),
            Operation(
                *("PATCH", one, self.mark_take, "Name a take, tag it, or make it a favourite"),
                body=TakeMarks,
                answer=LibraryTake,
                errors=(404, 507),
            ),
            Operation(
                *("DELETE", one, self.delete_take, "Delete a take and its file"),
                status=204,
                errors=(404, 507),
            ),
        )

    async def take_audio(self, request: Request) -> Response:
        wanted, client = query(request, _AsFormat), client_of(request)
        path = await self._path(request, client)
        name = path.name if wanted.download else None
        if wanted.format is None:
            return await sound_answer(request, path, MEDIA_TYPES.get(path.suffix), name)
        suffix = f".{FORMATS[wanted.format][0].lower()}"
        content = await DECODERS.in_thread(DECODERS.converted, path, wanted.format)
        headers = {"Content-Disposition": attachment(path.stem + suffix)} if name else None
        return Response(content, headers=headers, media_type=MEDIA_TYPES[suffix])

    async def search_takes(self, request: Request) -> Response:
        search, client = query(request, TakeSearch), client_of(request)
        found = await self._required_library.search(search, client.sees_as)
        return answer([self._views.stored(stored, client) for stored in found])

    async def folders(self, request: Request) -> Response:
        return answer(await self._required_library.folders(client_of(request).sees_as))

    async def facts(self, request: Request) -> Response:
        found = await self._required_library.find(*_take_id(request), client_of(request).sees_as)
        return answer(await self._facts.of(found))

    async def get_take(self, request: Request) -> Response:
        client = client_of(request)
        found = await self._required_library.find(*_take_id(request), client.sees_as)
        return answer(self._views.stored(found, client))

    async def mark_take(self, request: Request) -> Response:
        client, marks = client_of(request), await body(request, TakeMarks)
        found = await self._required_library.mark(*_take_id(request), marks, client.sees_as)
        return answer(self._views.stored(found, client))

    async def delete_take(self, request: Request) -> Response:
        await self._required_library.delete(*_take_id(request), client_of(request).sees_as)
        return Response(status_code=204)

    @property
    def _required_library(self) -> Library:
        assert self._library is not None
        return self._library

    async def _path(self, request: Request, client: Caller) -> Path:
        """The file of a take, of a job in memory or of one in the library.

        Raises:
            NotFound: no such take, or its file is gone.
        """
        job_id, number = _take_id(request)
        try:
            takes = self._views.visible(job_id, client).takes
            path = takes[number - 1].path if 1 <= number <= len(takes) else None
        except NotFound:
            if self._library is None:
                raise
            path = (await self._library.find(job_id, number, client.sees_as)).take.path
        if path is None or not path.is_file():
            raise NotFound(f"no take {number} of job {job_id!r}, or its file was deleted")
        return path


def _take_id(request: Request) -> tuple[str, int]:
    # SQLite's integers end at 2**63.
    return request.path_params["job_id"], min(request.path_params["number"], 2**31)
