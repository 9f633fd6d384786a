"""Note, tempo and key that a prompt names; the numbers are also for unets that take notation.

>>> read_notation("a single A4 on violin")
Notation(note=69.0, bpm=0.0, key='')
>>> read_notation("techno drum loop at 128 bpm")
Notation(note=0.0, bpm=128.0, key='')
>>> read_notation("piano chord C4 E4 G4")
Notation(note=0.0, bpm=0.0, key='')
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Final

from server.note_names import nearest_note, pitch_class, shift_of

__all__ = ["COLUMNS", "Notation", "note_name", "read_key", "read_notation", "tonic"]

COLUMNS: Final = 3
"""Numbers after the embedding: MIDI note, beats a minute, beats before the first frame."""
_NOTE: Final = re.compile(
    r"(?<![\w#-])(?P<name>[A-Ga-g])(?P<sign>#|♯|b|♭| ?sharp ?| ?flat ?)?(?P<octave>-?\d)(?!\w|\.\d)"
)
_MIDDLE_C: Final = re.compile(r"\bmiddle c\b", re.IGNORECASE)
_HERTZ: Final = re.compile(r"\b(?P<value>\d+(\.\d+)?) ?(?P<kilo>k?)(hz|hertz)\b", re.IGNORECASE)
_BPM: Final = re.compile(r"\b(?P<value>\d+(\.\d+)?) ?bpm\b", re.IGNORECASE)
_KEY: Final = re.compile(
    r"\b(?P<in>in (?:the key of )?)?(?P<tonic>[A-G])(?P<sign>[#b♯♭]|[ -]?(?:sharp|flat))?"
    r"[ -](?P<mode>major|minor)\b",
    re.IGNORECASE,
)
_LOWEST_NOTE: Final = 21.0
_HIGHEST_NOTE: Final = 108.0
_SLOWEST_BPM: Final = 30.0
_FASTEST_BPM: Final = 300.0


@dataclass(frozen=True)
class Notation:
    """One note and one tempo, 0 where there is none, and one key."""

    note: float = 0.0
    """MIDI number, A4 = 440 Hz = 69."""
    bpm: float = 0.0
    key: str = ""
    """As in ``F# minor``; empty where there is none."""

    def __bool__(self) -> bool:
        return bool(self.note or self.bpm or self.key)

    def at_tempo(self, bpm: float) -> Notation:
        """The same note at another tempo; without a tempo outside 30 to 300 bpm."""
        return replace(self, bpm=bpm if _SLOWEST_BPM <= bpm <= _FASTEST_BPM else 0.0)

    def columns(self, seconds: float) -> tuple[float, float, float]:
        """Numbers after the embedding, for frames that begin ``seconds`` after the first beat."""
        return self.note, self.bpm, seconds * self.bpm / 60.0


def read_notation(words: str) -> Notation:
    """Note and tempo in ``words``; several notes, or several tempi, count as none."""
    notes = {_midi(found) for found in _NOTE.finditer(words)}
    notes |= {_midi_of_hz(found) for found in _HERTZ.finditer(words)}
    notes |= {60.0} if _MIDDLE_C.search(words) else set()
    tempi = {float(found["value"]) for found in _BPM.finditer(words)}
    return Notation(_only(notes, _LOWEST_NOTE, _HIGHEST_NOTE)).at_tempo(_only(tempi))


def tonic(key: str) -> int:
    """MIDI number of the tonic of a key from middle C on; 0 where there is no key.

    >>> tonic("A minor"), tonic("Bb major"), tonic("")
    (69, 70, 0)
    """
    name, _, _ = key.partition(" ")
    return 60 + pitch_class(name[0], name[1:]) if name else 0


def read_key(words: str) -> str:
    """The key that ``words`` name; empty where they name none or several.

    >>> read_key("warm pad in Bb minor"), read_key("c sharp major chord"), read_key("a major city")
    ('Bb minor', 'C# major', '')
    """
    keys = {_key(found) for found in _KEY.finditer(words)} - {""}
    return keys.pop() if len(keys) == 1 else ""


def note_name(midi: float) -> str:
    """The name of a note, with the cents beside it.

    >>> note_name(69.0), note_name(69.4), note_name(59.8)
    ('A4', 'A4 +40 cents', 'C4 -20 cents')
    """
    name, exact_cents = nearest_note(midi)
    cents = round(exact_cents)
    return f"{name} {cents:+d} cents" if cents else name


def _key(found: re.Match[str]) -> str:
    """The key as a request writes it; empty where A is more likely an article."""
    if not found["sign"] and found["tonic"] in "Aa" and not (found["in"] and found["tonic"] == "A"):
        return ""
    sign = (found["sign"] or "").strip(" -").lower()
    sign = {"sharp": "#", "flat": "b"}.get(sign, sign)
    return f"{found['tonic'].upper()}{sign} {found['mode'].lower()}"


def _midi(found: re.Match[str]) -> float:
    # Cb4 lies below C4: the sign moves the note out of its octave.
    natural = 12 * (int(found["octave"]) + 1) + pitch_class(found["name"])
    return float(natural + shift_of(found["sign"] or ""))


def _midi_of_hz(found: re.Match[str]) -> float:
    hertz = float(found["value"]) * (1000.0 if found["kilo"] else 1.0)
    return 69.0 + 12.0 * math.log2(hertz / 440.0) if hertz > 0.0 else 0.0


def _only(values: set[float], lowest: float = 0.0, highest: float = math.inf) -> float:
    if len(values) != 1:
        return 0.0
    value = values.pop()
    return value if lowest <= value <= highest else 0.0
