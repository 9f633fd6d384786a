"""Points at which long work may be interrupted: between runs of a graph, between passes over a
sound, and while a clip is read.

The process that renders sets what happens there. It may let another job go first, or raise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["interruptible", "set_interruption"]

_CALLS: Final[list[Callable[[], None]]] = []


def set_interruption(call: Callable[[], None]) -> None:
    """Call ``call`` at each point from now on; what it raises ends the work."""
    _CALLS[:] = [call]


def interruptible() -> None:
    """Be interrupted here if somebody wants it."""
    for call in _CALLS:
        call()
