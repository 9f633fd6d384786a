"""Checks the note and the tempo of a take against those that the prompt names."""

from __future__ import annotations

import math
from typing import Any, Final

from server.audio.beat import related_tempo, tempo_bpm
from server.audio.pitch import cents_from, note_pitch
from server.audio.waveform import Waveform
from server.requests.notation import Notation

__all__ = ["measured", "mismatch"]

_RATE: Final = 16000
_MAX_CENTS: Final = 50.0
_LONGEST_S: Final = 10.0
"""Longest part of a take that is analysed; more costs time and adds little."""


def measured(sound: Waveform, notation: Notation) -> dict[str, Any]:
    """Measure the note and the tempo of ``sound``, where ``notation`` names them.

    Returns:
        ``note_cents``, the deviation from the named note (YIN over the loud frames), and
        ``tempo_bpm`` (from the onsets); None where there is no pitch or no beat.
    """
    measures: dict[str, Any] = {}
    if not notation:
        return measures
    mono = sound.crop(round(_LONGEST_S * sound.sample_rate)).resample(_RATE).downmix()
    if notation.note:
        hertz = note_pitch(mono, _RATE).hz
        cents = None if math.isnan(hertz) else round(cents_from(hertz, notation.note), 1)
        measures["note_cents"] = cents
    if notation.bpm:
        tempo = tempo_bpm(mono, _RATE)
        measures["tempo_bpm"] = None if math.isnan(tempo) else tempo
    return measures


def mismatch(measures: dict[str, Any], notation: Notation) -> float:
    """How far ``measures`` deviate from ``notation``: 0 where they match, at most 2.

    A wrong note and a wrong tempo count 1 each. Another octave and a related tempo count 0.5.
    """
    total = 0.0
    if notation.note:
        total += _note_mismatch(measures.get("note_cents"))
    if notation.bpm:
        tempo = measures.get("tempo_bpm")
        relation = "other" if tempo is None else related_tempo(tempo, notation.bpm)
        total += {"same": 0.0, "related": 0.5}.get(relation, 1.0)
    return total


def _note_mismatch(cents: float | None) -> float:
    if cents is None:
        return 1.0
    if abs(cents) <= _MAX_CENTS:
        return 0.0
    return 0.5 if abs(cents - 1200.0 * round(cents / 1200.0)) <= _MAX_CENTS else 1.0
