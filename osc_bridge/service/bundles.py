"""Bundles with a time tag: kept until their time, then executed in order.

A bundle whose time has passed is executed at once and counted as late. A time more than an hour
ahead is refused, and so is what would make more wait than 10,000 messages, 32 MiB, or 8 MiB of one
client. Time tags are Unix times. They are
converted to the clock of the event loop on arrival, so that a later change of the wall clock has
no effect.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from server.errors import InvalidRequest, QueueFull

__all__ = ["MAX_AHEAD_S", "MAX_BYTES", "MAX_BYTES_A_CLIENT", "MAX_WAITING", "BundleScheduler"]

MAX_AHEAD_S: Final = 3600.0
MAX_WAITING: Final = 10_000
MAX_BYTES: Final = 32 * 2**20
MAX_BYTES_A_CLIENT: Final = 8 * 2**20
_CLOCK_STEP_S: Final = 0.001


class _Waiting(NamedTuple):
    when: float
    sequence: int
    action: Callable[[], None]
    client: str
    size: int


class BundleScheduler:
    """Calls functions at given Unix times on the running event loop."""

    def __init__(self) -> None:
        self._heap: list[_Waiting] = []
        self._bytes: Counter[str] = Counter()
        """Of the waiting messages, by their client."""
        self._sequence = 0
        self._offset_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.late = 0
        """Number of messages that arrived after their time."""

    @property
    def waiting(self) -> int:
        """Number of messages whose time has not come."""
        return len(self._heap)

    def at(
        self, when_s: float, action: Callable[[], None], client: str = "", size: int = 0
    ) -> None:
        """Call ``action`` at the Unix time ``when_s``; at once where that has passed.

        Args:
            when_s: the time.
            action: what is called.
            client: whose message waits.
            size: bytes of memory that it takes.

        Raises:
            InvalidRequest: the time is more than an hour ahead.
            QueueFull: too many messages are waiting, or they take too much memory.
        """
        if not self.admit(when_s):
            action()
            return
        if len(self._heap) >= MAX_WAITING:
            raise QueueFull(f"{MAX_WAITING} bundled messages are waiting; try again later")
        self._count(client, size)
        self._sequence += 1
        when = when_s + self._to_loop_time()
        heapq.heappush(self._heap, _Waiting(when, self._sequence, action, client, size))
        self._arm()

    def _count(self, client: str, size: int) -> None:
        for held, most in (
            (self._bytes[client], MAX_BYTES_A_CLIENT),
            (self._bytes.total(), MAX_BYTES),
        ):
            if held + size > most:
                raise QueueFull(
                    f"bundled messages that wait take {held // 1024} KiB; at most {most // 2**20} "
                    "MiB may: send them later"
                )
        self._bytes[client] += size

    def admit(self, when_s: float) -> bool:
        """True for a time ahead; one that has passed is counted as late.

        Raises:
            InvalidRequest: the time is more than an hour ahead.
        """
        ahead_s = when_s - time.time()
        if ahead_s <= 0:
            self.late += 1
            return False
        if ahead_s > MAX_AHEAD_S:
            raise InvalidRequest(
                f"the bundle's time is {ahead_s:.0f} s ahead; at most {MAX_AHEAD_S:.0f} s "
                "are accepted (are the clocks set alike?)"
            )
        return True

    def close(self) -> None:
        """Drop all waiting messages."""
        self._heap.clear()
        self._bytes.clear()
        self._arm()

    def _to_loop_time(self) -> float:
        """Event loop time - Unix time; kept until the clock steps, so equal times stay equal."""
        offset_s = asyncio.get_running_loop().time() - time.time()
        if abs(offset_s - self._offset_s) > _CLOCK_STEP_S:
            self._offset_s = offset_s
        return self._offset_s

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._timer = asyncio.get_running_loop().call_at(self._heap[0].when, self._run_due)

    def _run_due(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer = None
        try:
            while self._heap and self._heap[0].when <= now:
                due = heapq.heappop(self._heap)
                self._bytes[due.client] -= due.size
                if not self._bytes[due.client]:
                    del self._bytes[due.client]
                due.action()
        finally:
            self._arm()
