"""The remote engine's connections: kept, renewed, and told apart from a full disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from server.errors import EngineUnavailable, InvalidRequest
from server.remote.connections import Connections

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(talk: Talk, ask: Callable[[Connections], Awaitable[None]], path: str = "") -> int:
    """Let ``ask`` use a server that is ``talk``; the number of connections."""
    num = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal num
        num += 1
        with closing(writer):
            await talk(reader, writer)

    async def main() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connections = Connections(f"http://127.0.0.1:{port}{path}", {"x": "1"})
        async with server:
            try:
                await ask(connections)
            finally:
                await connections.close()

    asyncio.run(main())
    return num


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with its own head."""
    while head := await reader.read(1000):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head) + head)


def test_a_connection_is_kept_and_a_request_is_one_packet() -> None:
    async def ask(connections: Connections) -> None:
        for _ in range(3):
            async with connections.call("POST", "/a?b", body=b"body") as answer:
                assert answer.status == 200
                told = await answer.read()
        assert told.startswith(b"POST /prefix/a?b HTTP/1.1\r\n")
        assert told.endswith(b"\r\n\r\nbody")
        assert b"x: 1\r\n" in told.lower()

    assert run(answer_all, ask, "/prefix/") == 1


def test_an_unread_answer_ends_its_connection() -> None:
    async def ask(connections: Connections) -> None:
        async with connections.call("GET", "/"):
            pass
        async with connections.call("GET", "/") as answer:
            assert await answer.read()

    assert run(answer_all, ask) == 2


def test_an_error_inside_the_block_stays_what_it_is() -> None:
    async def ask(connections: Connections) -> None:
        with pytest.raises(OSError, match="disk full"):
            async with connections.call("GET", "/"):
                raise OSError("disk full")

    run(answer_all, ask)


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"no HTTP\r\n\r\n"]
)
def test_what_breaks_says_which_server(said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(said)

    async def ask(connections: Connections) -> None:
        with pytest.raises(EngineUnavailable, match=r"http://127\.0\.0\.1"):
            async with connections.call("GET", "/") as answer:
                await answer.read()

    run(talk, ask)


def test_silence_counts_as_lost() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def ask(connections: Connections) -> None:
        with pytest.raises(EngineUnavailable, match="TimeoutError"):
            async with connections.call("GET", "/", read_s=0.05):
                pass

    run(talk, ask)


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://x", "http://", "http://me:pass@x"])
def test_what_is_no_server(url: str) -> None:
    with pytest.raises(InvalidRequest, match="expected http://HOST:PORT"):
        Connections(url, {})
