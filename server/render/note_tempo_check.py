"""Whether a take plays the note and the tempo that were asked for."""

from __future__ import annotations

import math
from typing import Any, Final

from server.audio.beat import related_tempo, tempo_bpm
from server.audio.pitch import cents_from, note_pitch
from server.audio.waveform import Waveform
from server.requests.notation import Notation

__all__ = ["faults", "played"]

_RATE: Final = 16000
_MAX_CENTS: Final = 50.0
_LONGEST_S: Final = 10.0
"""Of a take that is listened to; it costs time, and a note or a beat is soon heard."""


def played(sound: Waveform, notation: Notation) -> dict[str, Any]:
    """``note_cents`` and ``tempo_bpm`` of ``sound``, where a note or a tempo was named.

    The note is measured by YIN over the loud frames, in cents from the one that was named, and
    the tempo by the onsets; None where there is no pitch or no beat.
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


def faults(measures: dict[str, Any], notation: Notation) -> float:
    """How far a take with these ``measures`` is from ``notation``: 0 where it plays it.

    An octave, and half or double the tempo, are half a fault.
    """
    found = 0.0
    if notation.note:
        found += _note_fault(measures.get("note_cents"))
    if notation.bpm:
        tempo = measures.get("tempo_bpm")
        relation = "other" if tempo is None else related_tempo(tempo, notation.bpm)
        found += {"same": 0.0, "related": 0.5}.get(relation, 1.0)
    return found


def _note_fault(cents: float | None) -> float:
    if cents is None:
        return 1.0
    if abs(cents) <= _MAX_CENTS:
        return 0.0
    return 0.5 if abs(cents - 1200.0 * round(cents / 1200.0)) <= _MAX_CENTS else 1.0
