"""Long bundles in slices: a packet of many messages does not delay other senders.

The first :data:`SLICE` messages of a packet are handled at once. The rest waits, and so does
everything that the same sender sends meanwhile. Waiting senders are served round-robin, a slice
each.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

from osc_bridge.service.client_table import Sender
from osc_bridge.wire.codec import Packet
from server.errors import QueueFull

__all__ = ["MAX_WAITING", "SLICE", "Inbox"]

log = logging.getLogger("audioldm.osc")

SLICE: Final = 32
"""Messages that take about two milliseconds; longer bundles are not handled as one."""
MAX_BYTES: Final = 8 * 2**20
"""Of the messages of one sender that wait."""
MAX_WAITING: Final = 10_000
"""Messages of one sender: more than the longest datagram can hold."""


class Inbox:
    """Gives messages to ``handle``, in the order in which their sender sent them."""

    def __init__(self, handle: Callable[[Packet, Sender], None]) -> None:
        self._handle = handle
        self._waiting: dict[str, deque[tuple[Packet, Sender]]] = {}
        self._bytes: Counter[str] = Counter()

    def put(self, packets: Sequence[Packet], sender: Sender) -> None:
        """Handle the messages of one packet, or the first of them now and the rest later.

        Raises:
            QueueFull: too many messages of this sender are waiting; none of these was taken.
        """
        waiting = self._waiting.get(sender.key)
        if waiting is None:
            for packet in packets[:SLICE]:
                self._handle_one(packet, sender)
            packets = packets[SLICE:]
            if not packets:
                return
            if not self._waiting:
                asyncio.get_running_loop().call_soon(self._handle_slice)
            waiting = self._waiting[sender.key] = deque()
        elif len(waiting) + len(packets) > MAX_WAITING or self._bytes[sender.key] > MAX_BYTES:
            raise QueueFull(f"{len(waiting)} of your messages are waiting; send fewer at a time")
        self._bytes[sender.key] += sum(packet.message.size for packet in packets)
        waiting.extend((packet, sender) for packet in packets)

    def close(self) -> None:
        """Drop the messages that wait."""
        self._waiting.clear()
        self._bytes.clear()

    def _handle_slice(self) -> None:
        """Handle one slice of one sender, then let the event loop serve others."""
        if not self._waiting:
            return
        key, waiting = next(iter(self._waiting.items()))
        for _ in range(min(SLICE, len(waiting))):
            packet, sender = waiting.popleft()
            self._bytes[key] -= packet.message.size
            self._handle_one(packet, sender)
        self._waiting.pop(key, None)
        if waiting:
            self._waiting[key] = waiting
        else:
            del self._bytes[key]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._handle_slice)

    def _handle_one(self, packet: Packet, sender: Sender) -> None:
        """A message that fails must not hold up those behind it."""
        try:
            self._handle(packet, sender)
        except Exception:
            log.exception("a message of %s could not be handled", sender.key)
