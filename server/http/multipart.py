"""Forms with clips, parsed while they arrive: clips go to disk, not into memory.

A part named ``request`` is the request as JSON. Any other part is a clip for the request's field of
that name. The clients' file names are ignored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from server.errors import InvalidRequest, TooLarge
from server.http.io import MAX_JSON_BYTES
from server.jobs.uploads import Upload, Uploads
from server.json_errors import NOT_JSON, without_bom

__all__ = ["receive_form"]

_MAX_PARTS: Final = 8
_MAX_HEADERS: Final = 16 * 1024


class _Part:
    """One part: its name, and its bytes on their way; :func:`_catch_up` slows the sender down."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self.chunks.get()) is not None:
            yield chunk


class _Splitter:
    """Collects parts from the callbacks of the parser."""

    def __init__(self, boundary: bytes) -> None:
        self.begun: list[_Part] = []
        self.complete = False
        self._field = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_part_end": lambda: self.begun[-1].chunks.put_nowait(None),
                "on_end": self._end,
            },
        )

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._check_header()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check_header()

    def _check_header(self) -> None:
        known = sum(map(len, (*self._headers, *self._headers.values())))
        if known + len(self._field) + len(self._value) > _MAX_HEADERS:
            raise InvalidRequest(f"the headers of a part have more than {_MAX_HEADERS} bytes")

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not name or len(self.begun) >= _MAX_PARTS:
            raise InvalidRequest(f"a form has at most {_MAX_PARTS} parts, and each has a name")
        self.begun.append(_Part(name))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.begun[-1].chunks.put_nowait(data[start:end])

    def _end(self) -> None:
        self.complete = True


async def receive_form(
    headers: Mapping[str, str], chunks: AsyncIterator[bytes], uploads: Uploads, client: str
) -> dict[str, Any]:
    """Parse a form into the request's values, clips as ``upload:ID``.

    Raises:
        InvalidRequest: not a form of this layout.
        TooLarge: the request has more than 256 KiB.
        TooLarge, StorageFull, UnreadableAudio: a clip cannot be stored.
    """
    _, options = parse_options_header(headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:
        raise InvalidRequest("the form has no boundary")
    splitter = _Splitter(boundary)
    receiving: dict[str, asyncio.Task[Any]] = {}
    try:
        async for chunk in chunks:
            splitter.parser.write(chunk)
            _start_new(splitter, receiving, partial(uploads.receive, client))
            await _catch_up(splitter, receiving)
        splitter.parser.finalize()
        if not splitter.complete:
            raise InvalidRequest("the form ends in the middle")
        values = {name: await task for name, task in receiving.items()}
    except FormParserError as error:
        raise InvalidRequest(f"the form: {error}") from error
    finally:
        for task in receiving.values():
            task.cancel()
        await asyncio.gather(*receiving.values(), return_exceptions=True)
    request = values.pop("request", None)
    if not isinstance(request, dict):
        raise InvalidRequest("the form needs a part named request: the request as JSON")
    return {**request, **values}


def _start_new(
    splitter: _Splitter,
    receiving: dict[str, asyncio.Task[Any]],
    receive: Callable[[_Part], Awaitable[Upload]],
) -> None:
    for part in splitter.begun[len(receiving) :]:
        if part.name in receiving:
            raise InvalidRequest(f"the form has two parts named {part.name[:80]!r}")
        work = _json(part) if part.name == "request" else _clip(part, receive)
        receiving[part.name] = asyncio.create_task(work)


async def _catch_up(splitter: _Splitter, receiving: dict[str, asyncio.Task[Any]]) -> None:
    """Wait until the newest part has at most one chunk in memory."""
    while splitter.begun and splitter.begun[-1].chunks.qsize() > 1:
        await asyncio.sleep(0)
        task = receiving[splitter.begun[-1].name]
        if task.done():
            task.result()
            return


async def _json(part: _Part) -> Any:
    data = bytearray()
    async for chunk in part:
        data += chunk
        if len(data) > MAX_JSON_BYTES:
            raise TooLarge(f"the request has more than {MAX_JSON_BYTES} bytes")
    try:
        return msgspec.json.decode(without_bom(bytes(data)))
    except NOT_JSON as error:
        raise InvalidRequest(f"the request is not JSON: {error}") from error


async def _clip(part: _Part, receive: Callable[[_Part], Awaitable[Upload]]) -> str:
    return f"upload:{(await receive(part)).id}"
