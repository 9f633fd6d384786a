"""Sound files as answers, with ranges."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Message, Receive, Scope, Send

from server.errors import InvalidRequest

__all__ = ["sound_answer"]


class _LargeFile(FileResponse):
    # Each piece is a change of threads, which costs more than reading it.
    chunk_size = 2**20

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Starlette tells of a bad range in plain text; here it is an error like all others."""
        wanted = Headers(scope=scope).get("range", "")

        async def send_or_raise(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                raise _refused(wanted[:80], message)
            await send(message)

        if not _in_bytes(wanted):
            # RFC 9110, 14.2: a unit that is not known is no range.
            others = [pair for pair in scope["headers"] if pair[0] != b"range"]
            scope = {**scope, "headers": others}
        await super().__call__(scope, receive, send_or_raise)


async def sound_answer(
    request: Request, path: Path, media_type: str | None, filename: str | None = None
) -> Response:
    """The file at ``path``; ``filename`` where it is to be saved, not played.

    Sent, it raises :class:`InvalidRequest` for a ``Range`` that is none, and a 416 where the file
    has nothing in it.
    """
    found = path.stat()
    answer = _LargeFile(path, media_type=media_type, filename=filename, stat_result=found)
    if found.st_size > answer.chunk_size or "range" in request.headers:
        return answer
    content = await asyncio.to_thread(path.read_bytes)
    return Response(content, headers=dict(answer.headers.items()))


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
