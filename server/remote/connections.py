"""HTTP/1.1 to one server: connections that stay open, and requests that leave in one packet.

A general client took 2 ms more for a job at best (docs/performance.md).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import h11

from server.errors import EngineUnavailable, InvalidRequest

__all__ = ["Answer", "Connections"]

_CONNECT_S: Final = 10.0
_READ_S: Final = 60.0
_BUFFER_BYTES: Final = 2**20


class Connections:
    """The connections to the server at ``url``; ``headers`` go with every request.

    Raises:
        InvalidRequest: ``url`` is none.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        there = urlsplit(url)
        if there.scheme not in ("http", "https") or not there.hostname or there.username:
            raise InvalidRequest(f"engine {url!r}: expected http://HOST:PORT")
        # Reading the system's certificates takes long, and only TLS needs them.
        self._ssl = ssl.create_default_context() if there.scheme == "https" else None
        self._host, self._port = there.hostname, there.port or (443 if self._ssl else 80)
        self._prefix = there.path.rstrip("/")
        self._headers = {"host": there.netloc, **headers}
        self._idle: list[_Connection] = []
        self.url = url

    @asynccontextmanager
    async def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        read_s: float = _READ_S,
    ) -> AsyncIterator[Answer]:
        """Send a request; the answer is read inside the block.

        Args:
            method: of HTTP.
            path: with the query.
            body: what is sent.
            headers: more of them.
            read_s: silence after which the connection counts as lost.

        Raises:
            EngineUnavailable: the server cannot be reached, or the connection broke.
        """
        head = {**self._headers, **(headers or {})}
        if body or method in ("POST", "PUT"):
            head["content-length"] = str(len(body))
        request = h11.Request(method=method, target=self._prefix + path, headers=list(head.items()))
        connection = await self._connected()
        try:
            await connection.send(request, body)
            yield await connection.answer(read_s)
        finally:
            self._give_back(connection)

    async def close(self) -> None:
        """Let the idle connections go."""
        while self._idle:
            self._idle.pop().close()

    async def _connected(self) -> _Connection:
        while self._idle:
            if (connection := self._idle.pop()).is_open:
                return connection
            connection.close()
        async with _reaching(self.url, _CONNECT_S):
            streams = await asyncio.open_connection(
                self._host, self._port, ssl=self._ssl, limit=_BUFFER_BYTES
            )
        return _Connection(self.url, *streams)

    def _give_back(self, connection: _Connection) -> None:
        if connection.can_go_on():
            self._idle.append(connection)
        else:
            connection.close()


class Answer:
    """The answer to a request, as its body arrives."""

    def __init__(self, head: h11.Response, connection: _Connection, read_s: float) -> None:
        self.url = connection.url
        self.status = head.status_code
        self.headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        self._connection = connection
        self._read_s = read_s

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        while isinstance(event := await self._connection.event(self._read_s), h11.Data):
            yield bytes(event.data)

    async def lines(self) -> AsyncIterator[str]:
        """The body's lines as they come."""
        rest = b""
        async for chunk in self.chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.removesuffix(b"\r").decode()

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self.chunks()])


class _Connection:
    def __init__(
        self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.url = url
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    @property
    def is_open(self) -> bool:
        """False when the server has closed it."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def send(self, request: h11.Request, body: bytes) -> None:
        """Send a whole request."""
        parts = (request, *([h11.Data(data=body)] if body else ()), h11.EndOfMessage())
        self._writer.write(b"".join(self._http.send(part) or b"" for part in parts))
        async with _reaching(self.url, _READ_S):
            await self._writer.drain()

    async def answer(self, read_s: float) -> Answer:
        """The head of the answer; interim ones are skipped."""
        while isinstance(event := await self.event(read_s), h11.InformationalResponse):
            pass
        if not isinstance(event, h11.Response):
            raise EngineUnavailable(f"{self.url} closed the connection before its answer")
        return Answer(event, self, read_s)

    async def event(self, read_s: float) -> h11.Event:
        """What comes next."""
        async with _reaching(self.url, read_s):
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_BUFFER_BYTES))
        if not isinstance(event, h11.Event):
            raise EngineUnavailable(f"{self.url} closed the connection")
        return event

    def can_go_on(self) -> bool:
        """Whether another request may follow; makes the connection ready for it."""
        if self._http.our_state is self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    def close(self) -> None:
        """Drop it."""
        self._writer.transport.abort()


@asynccontextmanager
async def _reaching(url: str, longest_s: float) -> AsyncIterator[None]:
    """What breaks inside the block, or takes longer, is the server at ``url`` that is gone."""
    try:
        async with asyncio.timeout(longest_s):
            yield
    except (OSError, h11.ProtocolError) as error:
        raise EngineUnavailable(f"{url}: {str(error) or type(error).__name__}") from error
