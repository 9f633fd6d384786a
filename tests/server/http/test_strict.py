"""Requests that two programs could read in two ways."""

from __future__ import annotations

import asyncio
import contextlib
import re

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from server.http.server import serving

pytestmark = pytest.mark.integration

HEAD = "POST / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + "Transfer-Encoding: chunked\r\n\r\n"
AMBIGUOUS = {
    "CL and TE": HEAD + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE and CL": HEAD + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a signed length": HEAD + "Content-Length: +1\r\n\r\na",
    "two encodings": HEAD + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an unknown encoding": HEAD + "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "an encoding in 1.0": CHUNKED.replace("1.1", "1.0") + "0\r\n\r\n",
    "bare LF": "GET / HTTP/1.1\nHost: localhost\n\n",
    "one bare LF": "GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
    "bare LF at the end": "GET / HTTP/1.1\r\nHost: localhost\r\n\n",
    "bare CR": "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
    "a folded header": "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
    "a header folded by a tab": "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n\tb\r\n\r\n",
    "a space before the colon": "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "two hosts": "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "another version": "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "version 0.9": "GET / HTTP/0.9\r\nHost: localhost\r\n\r\n",
    "NUL": "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
    "a chunk that ends in LF": CHUNKED + "1\r\na\n0\r\n\r\n",
    "a size that ends in LF": CHUNKED + "1\na\r\n0\r\n\r\n",
    "a last chunk that ends in LF": CHUNKED + "1\r\na\r\n0\r\n\n",
    "headers after the body": CHUNKED + "0\r\nHost: evil.example\r\n\r\n",
    "a long head": f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {'y' * 20_000}\r\n\r\n",
}
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


def exchange(data: bytes, in_pieces: bool = False) -> tuple[bytes, list[str]]:
    """All that the server answers until it hangs up, and the paths that the application saw."""
    seen: list[str] = []

    async def note(request: Request) -> Response:
        seen.append(request.url.path)
        return PlainTextResponse(await request.body())

    async def scenario() -> bytes:
        app = Starlette(routes=[Route("/{path:path}", note, methods=["GET", "POST"])])
        async with serving(app, "127.0.0.1", 0) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for piece in [bytes([b]) for b in data] if in_pieces else [data]:
                if not reader.at_eof():
                    writer.write(piece)
                await asyncio.sleep(0.001 if in_pieces else 0)
            answer = await asyncio.wait_for(_read(reader), 10)
            writer.transport.abort()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            return answer

    return asyncio.run(scenario()), seen


async def _read(reader: asyncio.StreamReader) -> bytes:
    """All that comes, also before a reset."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            data += piece
    return data


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_requests_are_refused_and_smuggle_nothing(name: str) -> None:
    answer, seen = exchange((AMBIGUOUS[name] + SMUGGLED).encode())
    assert answer.split()[1] in (b"400", b"431", b"501", b"505"), answer
    assert b'{"error":{"code":"bad_request","message":"' in answer
    assert len(re.findall(rb"HTTP/1.1 \d", answer)) == 1
    assert "/smuggled" not in seen


def test_they_are_refused_before_they_are_complete() -> None:
    answer, seen = exchange(b"GET / HTTP/1.1\r\nHost: localhost\nX", in_pieces=True)
    assert answer.split()[1] == b"400"
    assert not seen


def test_a_broken_chunk_behind_an_answer_is_no_fault_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exchange((CHUNKED + "zz\r\n").encode())
    assert "Fatal error" not in caplog.text


@pytest.mark.parametrize("in_pieces", [False, True])
def test_clear_requests_are_answered_one_after_the_other(in_pieces: bool) -> None:
    data = CHUNKED + "1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n"
    data += HEAD + "Content-Length: 3\r\n\r\n\n \n"
    data += "GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer, seen = exchange(data.encode(), in_pieces)
    assert seen == ["/", "/", "/last"]
    assert answer.count(b"HTTP/1.1 200") == 3
    assert b"abc" in answer
    assert b"\n \n" in answer
