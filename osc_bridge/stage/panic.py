"""Panic: after everything was stopped, nothing that was requested before may start."""

from __future__ import annotations

from server.errors import Cancelled

__all__ = ["Panic"]


class Panic:
    """Counts how often everything was stopped.

    A request that has to wait remembers ``count`` when it arrives and calls :meth:`check` before
    it makes sound.
    """

    def __init__(self) -> None:
        self.count = 0

    def trigger(self) -> None:
        """Cancel every request that is still waiting."""
        self.count += 1

    def check(self, count: int) -> None:
        """Return if everything was last stopped before ``count`` was read.

        Raises:
            Cancelled: it was stopped since.
        """
        if count != self.count:
            raise Cancelled("everything was stopped before it began")
