"""Points at which long work may be interrupted: between runs of a graph, between passes over a
sound, and while a clip is read.

The process that renders sets what happens there. It may let another job go first, or raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

__all__ = ["interruptible", "pieces", "set_interruption"]

_PIECE_FRAMES: Final = 2**22

_CALLS: Final[list[Callable[[], None]]] = []


def set_interruption(call: Callable[[], None]) -> None:
    """Call ``call`` at each point from now on; what it raises ends the work."""
    _CALLS[:] = [call]


def interruptible() -> None:
    """Be interrupted here if somebody wants it."""
    for call in _CALLS:
        call()


def pieces(samples: Any) -> Iterator[Any]:
    """Pieces of ``samples`` [frames, ...] for a pass over them, which may be interrupted before
    each. A minute and a half is one piece."""
    for start in range(0, len(samples), _PIECE_FRAMES):
        interruptible()
        yield samples[start : start + _PIECE_FRAMES]
