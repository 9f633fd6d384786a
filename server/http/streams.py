"""Event streams and WebSockets: how many may be open at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from server.errors import QueueFull
from server.http.access import LOCAL, Caller

__all__ = ["StreamSlots", "hold_stream"]

_SHARE: Final = 4


class StreamSlots:
    """Counts what stays open until its client goes.

    Args:
        total: at a time; a client with a token gets at most a quarter of them.
    """

    def __init__(self, total: int = 64) -> None:
        self.total = total
        self.per_client = max(1, total // _SHARE)
        self._open: Counter[str] = Counter()

    @contextmanager
    def taken(self, client: Caller | None) -> Iterator[None]:
        """Count one inside the block.

        Raises:
            QueueFull: too many are open.
        """
        name = client.name if client else ""
        allowed = self.total if client is LOCAL else self.per_client
        if self._open[name] >= allowed or self._open.total() >= self.total:
            raise QueueFull(
                f"{self._open[name]} event streams and WebSockets of yours are open, and "
                f"{self._open.total()} in all; at most {allowed} and {self.total} may be"
            )
        self._open[name] += 1
        try:
            yield
        finally:
            self._open[name] -= 1


def hold_stream(state: dict[str, Any]) -> ExitStack:
    """Count the request whose ``state`` this is as a stream; the stack ends with the request.

    Raises:
        QueueFull: too many are open.
    """
    stack: ExitStack = state["stack"]
    slots: StreamSlots = state["streams"]
    stack.enter_context(slots.taken(state["client"]))
    return stack
