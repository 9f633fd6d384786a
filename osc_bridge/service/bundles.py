"""Bundles with a time tag: kept until their time, then executed in order.

A bundle whose time has passed is executed at once and counted as late. A time more than an hour
ahead, or more than 10,000 waiting messages, is refused. Time tags are Unix times. They are
converted to the clock of the event loop on arrival, so that a later change of the wall clock has
no effect.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import Final

from server.errors import InvalidRequest, QueueFull

__all__ = ["MAX_AHEAD_S", "MAX_WAITING", "BundleScheduler"]

MAX_AHEAD_S: Final = 3600.0
MAX_WAITING: Final = 10_000
_CLOCK_STEP_S: Final = 0.001


class BundleScheduler:
    """Calls functions at given Unix times on the running event loop."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._offset_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.late = 0
        """Number of messages that arrived after their time."""

    @property
    def waiting(self) -> int:
        """Number of messages whose time has not come."""
        return len(self._heap)

    def at(self, when_s: float, action: Callable[[], None]) -> None:
        """Call ``action`` at the Unix time ``when_s``; at once where that has passed.

        Raises:
            InvalidRequest: the time is more than an hour ahead.
            QueueFull: too many messages are waiting.
        """
        if not self.admit(when_s):
            action()
            return
        if len(self._heap) >= MAX_WAITING:
            raise QueueFull(f"{MAX_WAITING} bundled messages are waiting; try again later")
        self._sequence += 1
        heapq.heappush(self._heap, (when_s + self._to_loop_time(), self._sequence, action))
        self._arm()

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
            self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._run_due)

    def _run_due(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer = None
        try:
            while self._heap and self._heap[0][0] <= now:
                heapq.heappop(self._heap)[2]()
        finally:
            self._arm()
