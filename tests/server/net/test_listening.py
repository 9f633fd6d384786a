"""Sockets that the servers listen on."""

from __future__ import annotations

import asyncio
import socket

from server.http.server import listen


def test_small_answers_are_not_held_back() -> None:
    """Nagle's algorithm and the peer's delayed acknowledgement would cost 40 ms a call."""

    async def run() -> None:
        accepted: asyncio.Queue[int] = asyncio.Queue()

        def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            accepted.put_nowait(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = listen("127.0.0.1", 0)
        async with await asyncio.start_server(note, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            assert await accepted.get()
            writer.close()

    asyncio.run(run())
