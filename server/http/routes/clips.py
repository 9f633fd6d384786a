"""Routes of clips: upload, resume, describe."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from server.errors import InvalidRequest
from server.http.files import sound_answer
from server.http.io import answer, body_chunks, client_of
from server.http.openapi import Operation
from server.jobs.uploads import Upload, Uploads

__all__ = ["ClipRoutes"]


class ClipRoutes:
    """``/v1/uploads``."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What is answered, and how it is described."""
        resume = {
            "Content-Range": "bytes FIRST-LAST/TOTAL: these bytes of the clip; "
            "the first one must be the next that is missing"
        }
        return (
            Operation(
                *("POST", "/v1/uploads", self.send_clip, "Send a clip: the bytes of an audio file"),
                body_content="audio/*",
                answer=Upload,
                status=201,
                errors=(413, 415, 507),
            ),
            Operation(
                *("PUT", "/v1/uploads/{upload_id}", self.resume_clip),
                "Send a clip of this SHA-256, from where it stopped; 202 while more is missing",
                body_content="audio/*",
                answer=Upload,
                status=201,
                headers=resume,
                errors=(404, 409, 413, 415, 507),
            ),
            Operation(
                *("GET", "/v1/uploads/{upload_id}", self.get_clip),
                "What a clip is; HEAD on an unfinished one says in Upload-Offset how much is here",
                answer=Upload,
                errors=(404,),
            ),
            Operation(
                *("GET", "/v1/uploads/{upload_id}/audio", self.clip_audio, "The clip's sound"),
                content="audio/*",
                errors=(404,),
            ),
        )

    async def send_clip(self, request: Request) -> Response:
        chunks = body_chunks(request, self._uploads.max_bytes)
        upload = await self._uploads.receive(client_of(request).name, chunks)
        return answer(upload, 201, {"Location": f"/v1/uploads/{upload.id}"})

    async def resume_clip(self, request: Request) -> Response:
        upload_id, client = request.path_params["upload_id"], client_of(request).name
        offset, total = _range(request.headers.get("content-range", ""))
        chunks = body_chunks(request, self._uploads.max_bytes)
        upload = await self._uploads.resume(client, upload_id, offset, total, chunks)
        if upload is None:
            received = self._uploads.received(client, upload_id)
            return Response(status_code=202, headers={"Upload-Offset": str(received)})
        return answer(upload, 201, {"Location": f"/v1/uploads/{upload.id}"})

    async def get_clip(self, request: Request) -> Response:
        upload_id = request.path_params["upload_id"]
        received = self._uploads.received(client_of(request).name, upload_id)
        if request.method == "HEAD" and received:
            return Response(status_code=202, headers={"Upload-Offset": str(received)})
        return answer(self._uploads.find(upload_id, client_of(request).sees_as))

    async def clip_audio(self, request: Request) -> Response:
        path = self._uploads.path(request.path_params["upload_id"], client_of(request).sees_as)
        known = path.suffix in (".wav", ".flac", ".ogg")
        kind = f"audio/{path.suffix[1:]}" if known else "application/octet-stream"
        return await sound_answer(request, path, kind)


def _range(header: str) -> tuple[int, int]:
    """First byte and total of a ``Content-Range``.

    Raises:
        InvalidRequest: no such header.
    """
    found = re.fullmatch(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})", header)
    if not found:
        raise InvalidRequest(f"Content-Range {header[:80]!r}: send bytes FIRST-LAST/TOTAL")
    return int(found[1]), int(found[3])
