"""The open connections of a port: which one makes room, and which one has taken too long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import Final, Protocol

from server.logs import OncePerSecond
from server.net.limits import ConnectionLimits, address_group, is_loopback

__all__ = ["Connection", "Connections", "Patience"]

log = logging.getLogger("audioldm.net")
log.addFilter(OncePerSecond())

SWEEP_S: Final = 1.0


class Connection(Protocol):
    """An open connection, as the limits see it."""

    def dispensable(self, now: float) -> tuple[int, float] | None:
        """The smallest value ends first when room is needed; None: it is at work."""

    def overdue(self, now: float) -> str:
        """Why it has taken too long; empty while it has not."""

    def cut(self) -> None:
        """End it now."""


class Patience:
    """How long a connection has been in one phase without progress.

    It is asked once a second and costs nothing in between.
    """

    def __init__(self) -> None:
        self.since = time.monotonic()
        self._seen: object = None

    def waited(self, phase: object, now: float) -> float:
        """Seconds since ``phase``, which includes the progress made, was first seen."""
        if phase != self._seen:
            self._seen, self.since = phase, now
        return now - self.since


class Connections:
    """Counts connections and ends those that are idle or late.

    Args:
        limits: how many, and how long.
        name: of the port, for the log.
    """

    def __init__(self, limits: ConnectionLimits, name: str) -> None:
        self.limits = limits
        self._name = name
        self._open: dict[asyncio.BaseTransport, tuple[Connection, str]] = {}
        self._per_group: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def put(self, transport: asyncio.BaseTransport, connection: Connection) -> None:
        """Count a connection; one whose protocol has changed is counted once."""
        known = self._open.get(transport)
        group = known[1] if known else _group_of(transport)
        self._open[transport] = connection, group
        if not known:
            self._per_group[group] += 1

    def drop(self, transport: asyncio.BaseTransport) -> None:
        """Forget a connection that has ended."""
        known = self._open.pop(transport, None)
        if known:
            self._per_group[known[1]] -= 1
            if not self._per_group[known[1]]:
                del self._per_group[known[1]]

    def admit(self, host: str) -> bool:
        """Whether one more from ``host`` may come; idle connections make room for it."""
        group, limits = address_group(host), self.limits
        has_share = is_loopback(host) or self._per_group[group] < limits.per_address
        if not has_share and not self.make_room(group):
            return False
        return len(self) < limits.affordable or self.make_room()

    def make_room(self, group: str = "") -> bool:
        """End the connection that has been idle the longest (in ``group``); False: none is idle.

        The newest eighth goes last: they may be about to ask for something.
        """
        mine = [t for t, (_, its_group) in self._open.items() if group in ("", its_group)]
        newest = len(mine) - len(mine) // 8
        idle = self._longest_idle(mine[:newest]) or self._longest_idle(mine[newest:])
        if idle is None:
            log.warning("%s: all %d connections are at work; one is refused", self._name, len(self))
            return False
        self._end(idle)
        return True

    def _longest_idle(
        self, transports: list[asyncio.BaseTransport]
    ) -> asyncio.BaseTransport | None:
        now = time.monotonic()
        ranks = {t: self._open[t][0].dispensable(now) for t in transports}
        idle = [(rank, index, t) for index, (t, rank) in enumerate(ranks.items()) if rank]
        return min(idle, default=(None, 0, None))[2]

    async def sweep(self) -> None:
        """End the connections that take too long; never returns."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now = time.monotonic()
            for transport, (connection, group) in tuple(self._open.items()):
                if reason := connection.overdue(now):
                    log.info("%s: a connection of %s is closed: %s", self._name, group, reason)
                    self._end(transport)

    def _end(self, transport: asyncio.BaseTransport) -> None:
        connection, _ = self._open[transport]
        self.drop(transport)
        connection.cut()


def _group_of(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return address_group(str(peer[0])) if peer else ""
