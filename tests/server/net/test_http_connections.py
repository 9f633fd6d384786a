"""Connections that take and do not give: limits of number and time at the HTTP port."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from server.http.server import serving
from server.net.limits import ConnectionLimits

pytestmark = pytest.mark.integration

SHORT = ConnectionLimits(total=8, per_address=3, head_s=1.0, stall_s=1.0, idle_s=30.0)
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def everything(request: Request) -> Response:
    async for _ in request.stream():
        pass
    return PlainTextResponse("ok")


async def endless(_: Request) -> Response:
    async def lines() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 2**16
            await asyncio.sleep(0)

    return StreamingResponse(lines())


async def flood(websocket: WebSocket) -> None:
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await websocket.send_bytes(b"x" * 2**16)
            await asyncio.sleep(0)


APP = Starlette(
    routes=[
        Route("/", everything, methods=["GET", "POST"]),
        Route("/endless", endless),
        WebSocketRoute("/flood", flood),
    ]
)


OPENED: list[asyncio.StreamWriter] = []


def run(scenario: Callable[[int], Awaitable[None]], limits: ConnectionLimits = SHORT) -> None:
    async def serve() -> None:
        async with serving(APP, "127.0.0.1", 0, limits) as port:
            try:
                await scenario(port)
            finally:
                await hang_up()

    asyncio.run(serve())


async def hang_up() -> None:
    for writer in OPENED:
        writer.transport.abort()
    await asyncio.gather(*(w.wait_closed() for w in OPENED), return_exceptions=True)
    OPENED.clear()


async def peers(port: int, count: int, first: bytes = b"") -> list[Peer]:
    opened = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        OPENED.append(writer)
        writer.write(first)
        opened.append((reader, writer))
    return opened


async def status(port: int) -> int:
    """The status of an ordinary request on a connection of its own."""
    [(reader, writer)] = await peers(port, 1, GET)
    with contextlib.suppress(ConnectionError):
        line = await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        return int(line.split()[1]) if line else 0
    return 0


async def ended(peer: Peer, within_s: float = 6.0) -> bool:
    """True where the server hangs up in time."""
    with contextlib.suppress(ConnectionError):
        try:
            await asyncio.wait_for(peer[0].read(), within_s)
        except TimeoutError:
            return False
    return True


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nX: "])
def test_half_open_connections_lock_nobody_out_and_are_closed(first: bytes) -> None:
    async def scenario(port: int) -> None:
        opened = await peers(port, 40, first)
        begun = time.monotonic()
        assert [await status(port) for _ in range(10)] == [200] * 10
        assert time.monotonic() - begun < 1
        assert all([await ended(peer) for peer in opened])

    run(scenario)


def test_a_head_that_arrives_slowly_is_cut_off() -> None:
    async def scenario(port: int) -> None:
        [(reader, writer)] = await peers(port, 1, b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(30):
                writer.write(b"X: y\r\n")
                await writer.drain()
                await asyncio.sleep(0.2)
                if reader.at_eof():
                    break
        assert reader.at_eof()

    run(scenario)


def test_idle_connections_make_room_and_busy_ones_stay() -> None:
    async def scenario(port: int) -> None:
        kept = await peers(port, SHORT.total, GET)
        for reader, _ in kept:
            assert b"200" in await reader.readline()
        assert await status(port) == 200
        gone = [await ended(peer, 0.3) for peer in kept]
        assert (gone[0], gone[-1]) == (True, False)

    run(scenario)


def test_a_body_that_stops_is_cut_off_and_a_slow_one_is_not() -> None:
    post = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4096\r\n\r\n"

    async def scenario(port: int) -> None:
        stopped, slow = await peers(port, 2, post)
        for _ in range(4):
            slow[1].write(b"x" * 1024)
            await asyncio.sleep(0.7)
        assert b"200" in await slow[0].readline()
        assert await ended(stopped)

    run(scenario)


def test_who_reads_no_answer_is_cut_off() -> None:
    async def scenario(port: int) -> None:
        request = b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n"
        [(reader, writer)] = await peers(port, 1, request)
        reader._limit = 1024  # type: ignore[attr-defined]
        await asyncio.sleep(4)
        assert await ended((reader, writer))

    run(scenario)


def test_who_reads_no_websocket_is_cut_off() -> None:
    async def scenario(port: int) -> None:
        async with connect(f"ws://127.0.0.1:{port}/flood", max_queue=1) as socket:
            assert socket.protocol.extensions == []
            await asyncio.sleep(4)
            with pytest.raises(ConnectionClosedError):
                await asyncio.wait_for(drained(socket), 20)

    run(scenario)


async def drained(socket: ClientConnection) -> None:
    while True:
        await socket.recv()


def test_one_address_has_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.net.connections.is_loopback", lambda host: False)

    async def scenario(port: int) -> None:
        working = await peers(port, 3, b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for reader, _ in working:
            await reader.readline()
        reader, _ = (await peers(port, 1, GET))[0]
        answer = await reader.read()
        assert b"503" in answer.splitlines()[0]
        assert b'"code":"unavailable"' in answer

    run(scenario)


_WITHOUT_DESCRIPTORS = """
import asyncio, os, resource, sys
from server.http.server import serving
from server.logs import set_up_logs
from server.net.limits import ConnectionLimits

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

async def main():
    set_up_logs()
    async with serving(app, "127.0.0.1", 0, ConnectionLimits(head_s=2.0)) as port:
        print(port, flush=True)
        await asyncio.sleep(0.2)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        held = [os.open(os.devnull, os.O_RDONLY) for _ in range(80)]
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of descriptors")
def test_without_descriptors_it_answers_and_the_log_stays_short() -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", _WITHOUT_DESCRIPTORS]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        port = int(process.stdout.readline())
        try:
            assert 200 in asyncio.run(flooded(port))
        finally:
            process.stdin.close()
            errors = process.stderr.read()
    assert "Traceback" not in errors
    assert "no connection can be accepted" in errors
    assert len(errors.splitlines()) < 30


async def flooded(port: int) -> list[int]:
    """Statuses of requests while 200 connections are open that ask for nothing."""
    await asyncio.sleep(0.5)
    await peers(port, 200)
    await asyncio.sleep(3)
    statuses = [await status(port) for _ in range(5)]
    await hang_up()
    return statuses
