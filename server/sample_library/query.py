"""What is looked for: words with weights, a sound, and conditions on measures.

>>> [(term.words, term.weight) for term in terms_of("dusty snare:1 + hiss:-0.5")]
[('dusty snare', 1.0), ('hiss', -0.5)]
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from server.errors import InvalidRequest
from server.note_names import pitch_class
from server.sample_library.sample import Character

__all__ = ["SampleSearch", "Term", "terms_of"]

_WEIGHT: Final = re.compile(r"(.*?)\s*:\s*(-?\d+(?:\.\d*)?|-?\.\d+)", re.DOTALL)
_NOTE: Final = re.compile(r"([A-Ga-g])([#b♯♭]?)(-?\d{1,2})?")
_MAX_WEIGHT: Final = 10.0

Seconds = Annotated[float, Meta(ge=0.0, le=1e6, extra={"unit": "s"})]
Tempo = Annotated[float, Meta(ge=1.0, le=999.0, extra={"unit": "BPM"})]


class Term(msgspec.Struct, frozen=True):
    """Words and how much they count; less than 0: what it should not sound like."""

    words: str
    weight: float


class SampleSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to look for; all conditions must hold. Without words or a sound: the newest."""

    query: Annotated[
        str,
        Meta(max_length=500, description="what it sounds like: 'rain', or 'rain:1 + hiss:-0.5'"),
    ] = ""
    like: Annotated[
        str,
        Meta(max_length=4000, description="path of a sound or folder that it should resemble"),
    ] = ""
    folder: Annotated[str, Meta(max_length=4000, description="only in this folder")] = ""
    character: Annotated[Character, Meta(description="one-shot or loop; empty: all")] = ""
    min_s: Annotated[Seconds | None, Meta(description="shortest length in seconds")] = None
    max_s: Annotated[Seconds | None, Meta(description="longest length in seconds")] = None
    min_bpm: Annotated[Tempo | None, Meta(description="slowest tempo")] = None
    max_bpm: Annotated[Tempo | None, Meta(description="fastest tempo")] = None
    note: Annotated[str, Meta(max_length=4, description="note in any octave: C, F#, Bb")] = ""
    diverse: Annotated[
        float,
        Meta(ge=0.0, le=1.0, description="0: the nearest sounds; 1: as different as possible"),
    ] = 0.0
    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    offset: Annotated[int, Meta(ge=0, le=10**9)] = 0

    @property
    def pitch_class(self) -> float | None:
        """The note as a number from 0 (C) to 11 (B); None: any.

        Raises:
            InvalidRequest: it is no note.
        """
        return _pitch_class(self.note) if self.note.strip() else None


def terms_of(query: str) -> list[Term]:
    """The terms of a query, which `` + `` separates; ``:number`` ends a term with its weight.

    Raises:
        InvalidRequest: a term has no words, or a weight is out of range.
    """
    return [_term(part.strip()) for part in re.split(r"\s\+\s", query)] if query.strip() else []


def _pitch_class(note: str) -> float:
    found = _NOTE.fullmatch(note.strip())
    if found is None:
        raise InvalidRequest(f"note {note!r}: name one as C, F# or Bb")
    return float(pitch_class(found[1], found[2]))


def _term(part: str) -> Term:
    found = _WEIGHT.fullmatch(part)
    words, weight = (found[1].strip(), float(found[2])) if found else (part, 1.0)
    if not words:
        raise InvalidRequest(f"query: {part!r} has no words; write 'rain:1 + hiss:-0.5'")
    if not math.isfinite(weight) or abs(weight) > _MAX_WEIGHT:
        raise InvalidRequest(f"query: weight {weight:g} of {words!r} must be -10 to 10")
    return Term(words, weight)
