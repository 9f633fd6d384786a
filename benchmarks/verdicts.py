"""Claims about a run, whether they held, and the measured numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import msgspec

__all__ = ["Verdict", "show"]


class Verdict(msgspec.Struct, frozen=True):
    """One claim, checked after a run."""

    claim: str
    held: bool
    measured: str


def show(verdicts: Iterable[Verdict]) -> None:
    """One line a claim on standard error; the figures themselves go to standard output."""
    for verdict in verdicts:
        word = "HELD    " if verdict.held else "NOT HELD"
        print(f"{word}  {verdict.claim}: {verdict.measured}", file=sys.stderr)
