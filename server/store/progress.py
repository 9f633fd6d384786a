"""How far an addition is, and a way to end it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from server.errors import Cancelled

__all__ = ["Count", "Meter", "Progress", "Stage"]

Stage = Literal["asking", "downloading", "checking", "converting"]
_EVERY_S = 0.25


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the addition of a model is."""

    name: str
    stage: Stage
    done_bytes: int = 0
    total_bytes: int = 0
    bytes_per_s: float = 0.0
    left_s: float = 0.0
    """Seconds left for the stage; 0 while nobody knows."""


class Count(Protocol):
    """Is called with numbers of bytes that are done; see :meth:`Meter.add`."""

    def __call__(self, count: int, *, arrived: bool = True) -> None:
        """More bytes are done."""


class Meter:
    """Counts bytes of a stage and reports at most four times a second.

    ``report`` is called in the thread that works.
    """

    def __init__(self, name: str, report: Callable[[Progress], None]) -> None:
        self._name = name
        self._report = report
        self._cancelled = False
        self.begin("asking", 0)

    def cancel(self) -> None:
        """Have the work end at its next byte."""
        self._cancelled = True

    def begin(self, stage: Stage, total_bytes: int) -> None:
        """A stage begins."""
        self._stage, self._total, self._done = stage, total_bytes, 0
        self._arrived, self._began_s = 0, time.monotonic()
        self._tell()

    def add(self, count: int, *, arrived: bool = True) -> None:
        """More bytes are done; those that have not ``arrived`` now say nothing of the speed.

        Raises:
            Cancelled: nobody wants the model any more.
        """
        if self._cancelled:
            raise Cancelled(f"adding {self._name} was cancelled; what is downloaded stays")
        self._done += count
        if arrived:
            self._arrived += count
        if time.monotonic() - self._told_s >= _EVERY_S:
            self._tell()

    def _tell(self) -> None:
        self._told_s = time.monotonic()
        taken_s = self._told_s - self._began_s
        rate = self._arrived / taken_s if taken_s > _EVERY_S else 0.0
        left_s = (self._total - self._done) / rate if rate > 0 else 0.0
        self._report(
            Progress(
                name=self._name,
                stage=self._stage,
                done_bytes=self._done,
                total_bytes=self._total,
                bytes_per_s=round(rate),
                left_s=round(max(0.0, left_s), 1),
            )
        )
