"""The current values of addresses, for clients that watch them (OSCQuery)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from osc_bridge.messages.message import Command, Message
from osc_bridge.wire.codec import OscMessage
from server.listeners import Listeners

__all__ = ["Values"]


class Values:
    """Gives the current value of an address, and notifies listeners of new ones."""

    def __init__(self) -> None:
        self.changed: Listeners[OscMessage] = Listeners("a value")
        """Called with every notice to all clients, and every value that is set."""
        self._readers: dict[type[Message], Callable[[], Message]] = {}
        self._last: dict[type[Command], OscMessage] = {}

    def add(self, readers: Mapping[type[Message], Callable[[], Message]]) -> None:
        """Add values: each as the message that sets it or reports it."""
        self._readers |= readers

    def read(self, message: type[Message]) -> Message | None:
        """The current value of an address; None where it has none."""
        return self._readers[message]() if message in self._readers else None

    def refresh(self, command: type[Command]) -> None:
        """Notify the listeners if the value that ``command`` sets is a new one."""
        if command in self._readers and self.changed:
            message = self._readers[command]().to_osc()
            if self._last.get(command) != message:
                self._last[command] = message
                self.changed.notify(message)
