"""Sound files as answers, with ranges."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

__all__ = ["sound_answer"]


class _LargeFile(FileResponse):
    # Each piece is a change of threads, which costs more than reading it.
    chunk_size = 2**20


async def sound_answer(
    request: Request, path: Path, media_type: str | None, filename: str | None = None
) -> Response:
    """The file at ``path``; ``filename`` where it is to be saved, not played."""
    found = path.stat()
    answer = _LargeFile(path, media_type=media_type, filename=filename, stat_result=found)
    if found.st_size > answer.chunk_size or "range" in request.headers:
        return answer
    content = await asyncio.to_thread(path.read_bytes)
    return Response(content, headers=dict(answer.headers.items()))
