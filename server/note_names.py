"""Names of notes."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["nearest_note", "pitch_class", "shift_of"]

_NAMES: Final = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_NATURAL: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS: Final = {"": 0, "#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}


def pitch_class(letter: str, sign: str = "") -> int:
    """The number of a note without its octave, C is 0.

    >>> pitch_class("c"), pitch_class("B", "♭"), pitch_class("F", " sharp")
    (0, 10, 6)
    """
    return (_NATURAL[letter.upper()] + shift_of(sign)) % 12


def shift_of(sign: str) -> int:
    """Semitones by which a sign moves its note.

    >>> shift_of("#"), shift_of(" flat "), shift_of("")
    (1, -1, 0)
    """
    return _SIGNS[sign.strip()]


def nearest_note(midi: float) -> tuple[str, float]:
    """The name of the nearest note, and how many cents ``midi`` lies above it.

    >>> nearest_note(69.25), nearest_note(59.75)
    (('A4', 25.0), ('C4', -25.0))
    """
    nearest = math.floor(midi + 0.5)
    return f"{_NAMES[nearest % 12]}{nearest // 12 - 1}", 100.0 * (midi - nearest)
