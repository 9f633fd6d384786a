"""Callbacks that are called at every event of one kind."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Listeners", "Unlisten"]

log = logging.getLogger("audioldm.listeners")

T = TypeVar("T")
Unlisten = Callable[[], None]


class Listeners(Generic[T]):
    """Calls its listeners in the order in which they were added.

    A listener that raises does not disturb the caller or the other listeners. It is logged, with
    its traceback, once for each type of exception.

    Args:
        event: what the listeners are called with, for the log.
    """

    def __init__(self, event: str) -> None:
        self._event = event
        self._numbers = itertools.count()
        self._listeners: dict[int, Callable[[T], None]] = {}
        self._logged: set[tuple[int, type[Exception]]] = set()

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, listener: Callable[[T], None]) -> Unlisten:
        """Call ``listener`` at every event; the function returned ends that."""
        number = next(self._numbers)
        self._listeners[number] = listener

        def remove() -> None:
            self._listeners.pop(number, None)

        return remove

    def notify(self, event: T) -> None:
        """Call every listener with ``event``."""
        for number, listener in tuple(self._listeners.items()):
            try:
                listener(event)
            except Exception as error:
                self._log_once(number, listener, error)

    def _log_once(self, number: int, listener: Callable[[T], None], error: Exception) -> None:
        if (number, type(error)) not in self._logged:
            self._logged.add((number, type(error)))
            log.exception("a listener of %s failed: %r", self._event, listener)
