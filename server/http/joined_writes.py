"""Writes of one turn of the event loop in one packet."""

from __future__ import annotations

import asyncio
from typing import Any, Final

__all__ = ["JoinedWrites"]

_MOST_BYTES: Final = 64 * 1024


class JoinedWrites:
    """A transport whose client receives the head and the body of an answer at once.

    Each packet costs a system call here and wakes up the client, which needs both.
    All else is done by ``transport``.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._pending = bytearray()
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        """What is not in this class, of the transport."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send ``data`` at the end of this turn, or now where much is waiting."""
        if data and not self._pending:
            self._loop.call_soon(self._flush)
        self._pending += data
        if len(self._pending) >= _MOST_BYTES:
            self._flush()

    def get_write_buffer_size(self) -> int:
        """Bytes that have not left."""
        return len(self._pending) + self._transport.get_write_buffer_size()

    def close(self) -> None:
        """Send what is left, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._pending:
            data, self._pending = bytes(self._pending), bytearray()
            self._transport.write(data)
