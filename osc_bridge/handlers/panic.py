"""What was sent before everything was stopped, and had to wait, does not begin."""

from __future__ import annotations

from osc_bridge.service.service import Context
from server.errors import Cancelled

__all__ = ["Stops"]


class Stops:
    """Remembers the last message that stopped everything."""

    def __init__(self) -> None:
        self._number = -1

    def note(self, context: Context) -> None:
        """The message of ``context`` stops everything."""
        self._number = context.number

    def check(self, context: Context) -> None:
        """Raises :class:`Cancelled` where the message of ``context`` came before the stop."""
        if context.when_s is None and context.number < self._number:
            raise Cancelled("everything was stopped before it began")
