"""Sound files as answers, with support for ranges."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Message, Receive, Scope, Send

from server.errors import InvalidRequest

__all__ = ["MEDIA_TYPES", "attachment", "sound_answer"]

MEDIA_TYPES: Final = {".wav": "audio/wav", ".flac": "audio/flac"}
"""By the suffix; Python's own table has older names."""


class _LargeFile(FileResponse):
    # Each chunk costs a change of threads, which takes longer than reading it.
    chunk_size = 2**20

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise a bad range as an error of ours; Starlette would answer in plain text."""
        wanted = Headers(scope=scope).get("range", "")

        async def send_or_raise(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                raise _refused(wanted[:80], message)
            await send(message)

        if not _in_bytes(wanted):
            # RFC 9110, 14.2: a range in an unknown unit is ignored.
            others = [pair for pair in scope["headers"] if pair[0] != b"range"]
            scope = {**scope, "headers": others}
        await super().__call__(scope, receive, send_or_raise)


async def sound_answer(
    request: Request, path: Path, media_type: str | None, filename: str | None = None
) -> Response:
    """Answer with the file at ``path``.

    While it is sent, the answer raises :class:`InvalidRequest` for a malformed ``Range``, and a
    416 for one outside the file.

    Args:
        request: with its ``Range`` header.
        path: the file.
        media_type: content type; None: guessed from the name.
        filename: name for saving the file; None: it is played.
    """
    found = path.stat()
    answer = _LargeFile(path, media_type=media_type, filename=filename, stat_result=found)
    if found.st_size > answer.chunk_size or "range" in request.headers:
        return answer
    content = await asyncio.to_thread(path.read_bytes)
    return Response(content, headers=dict(answer.headers.items()))


def attachment(filename: str) -> str:
    """The ``Content-Disposition`` of a file to save; RFC 6266 has a way for all scripts."""
    encoded = quote(filename)
    if encoded == filename:
        return f'attachment; filename="{filename}"'
    return f"attachment; filename*=utf-8''{encoded}"


def _in_bytes(wanted: str) -> bool:
    unit, equals, _ = wanted.partition("=")
    return bool(equals) and unit.strip().lower() == "bytes"


def _refused(wanted: str, answer: Message) -> Exception:
    if answer["status"] != 416:
        return InvalidRequest(f"Range {wanted!r}: send bytes=FIRST-LAST, FIRST- or -LENGTH")
    there = Headers(raw=answer["headers"])["content-range"]
    size = there.rpartition("/")[2]
    detail = f"Range {wanted!r}: the file has {size} bytes"
    return HTTPException(416, detail, {"Content-Range": there})
