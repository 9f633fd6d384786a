"""Checks the note, the tempo and the key of a take against those that were asked for."""

from __future__ import annotations

import math
from typing import Any, Final

from server.audio.beat import beat_of, related_tempo
from server.audio.key import scale_of, scale_share
from server.audio.pitch import cents_from, note_pitch
from server.audio.waveform import Samples, Waveform
from server.requests.notation import Notation, note_name

__all__ = ["ANALYSIS_RATE", "IN_KEY", "analysed", "measured", "mismatch", "missed"]

ANALYSIS_RATE: Final = 16000
_MAX_CENTS: Final = 50.0
IN_KEY: Final = 0.8
"""Share of the tones that are notes of the key; in the keys next to it, it is near 0.9."""
_FEWEST_BEATS: Final = 4.0
"""Beats in a take from which its tempo can be told."""
_WEAKEST_BEAT: Final = 0.15
"""Onsets that repeat less than this have no beat: rain reaches 0.08, drum loops 0.25 and more."""
_LONGEST_S: Final = 10.0
"""Longest part of a take that is analysed; more costs time and adds little."""


def measured(sound: Waveform, notation: Notation) -> dict[str, Any]:
    """Measure the note, the tempo and the key of ``sound``, where ``notation`` names them.

    Returns:
        ``note_cents``, the deviation from the named note (YIN over the loud frames),
        ``tempo_bpm`` (from the onsets) and ``key_share``, the share of the tones that are in the
        key; None where there is no pitch, no beat or no tone.
    """
    measures: dict[str, Any] = {}
    if not notation:
        return measures
    mono = analysed(sound)
    if notation.note:
        hertz = note_pitch(mono, ANALYSIS_RATE).hz
        cents = None if math.isnan(hertz) else round(cents_from(hertz, notation.note), 1)
        measures["note_cents"] = cents
    if notation.bpm:
        tempo, beat = beat_of(mono, ANALYSIS_RATE)
        measures["tempo_bpm"] = tempo if beat >= _WEAKEST_BEAT else None
    if notation.key:
        share = scale_share(mono, notation.key, ANALYSIS_RATE)
        if share is None and measures.get("note_cents") is not None:
            # One note that is too soft for a tone of its own among noise.
            note = round(notation.note + measures["note_cents"] / 100.0)
            share = float(note % 12 in scale_of(notation.key))
        measures["key_share"] = None if share is None else round(share, 3)
    return measures


def analysed(sound: Waveform) -> Samples:
    """The mono sum of the beginning of ``sound``, at :data:`ANALYSIS_RATE`."""
    frames = min(sound.frames, round(_LONGEST_S * sound.sample_rate))
    return sound.crop(frames).resample(ANALYSIS_RATE).downmix()


def mismatch(measures: dict[str, Any], notation: Notation) -> float:
    """How far ``measures`` deviate from ``notation``: 0 where they match, at most 3.

    A wrong note, a wrong tempo and a wrong key count 1 each. Another octave and a related tempo
    count 0.5. A sound without tones is in every key.
    """
    total = 0.0
    if notation.note:
        total += _note_mismatch(measures.get("note_cents"))
    if notation.bpm:
        tempo = measures.get("tempo_bpm")
        relation = "other" if tempo is None else related_tempo(tempo, notation.bpm)
        total += {"same": 0.0, "related": 0.5}.get(relation, 1.0)
    if notation.key and (share := measures.get("key_share")) is not None:
        total += float(share < IN_KEY)
    return total


def missed(
    measures: dict[str, Any], notation: Notation, seconds: float, *, beat_expected: bool
) -> str:
    """Say for people what a take misses of what was asked for; empty where it misses nothing.

    Half the tempo and double the tempo are no miss: both are counted from the same beats.

    Args:
        measures: from :func:`measured`.
        notation: what was asked for.
        seconds: length of the take.
        beat_expected: True where a take without any beat misses the tempo.
    """
    found = []
    if notation.note:
        found.append(_missed_note(measures.get("note_cents"), notation.note))
    if notation.bpm and seconds * notation.bpm / 60.0 >= _FEWEST_BEATS:
        found.append(_missed_tempo(measures.get("tempo_bpm"), notation.bpm, beat_expected))
    if notation.key:
        found.append(_missed_key(measures.get("key_share"), notation.key))
    return "; ".join(filter(None, found))


def _missed_note(cents: float | None, note: float) -> str:
    asked = note_name(note)
    if cents is None:
        return f"no steady note was found, {asked} was asked for"
    if abs(cents) <= _MAX_CENTS:
        return ""
    octaves = round(cents / 1200.0)
    if octaves and abs(cents - 1200.0 * octaves) <= _MAX_CENTS:
        number = "one octave" if abs(octaves) == 1 else f"{abs(octaves)} octaves"
        return f"it plays {number} {'above' if octaves > 0 else 'below'} {asked}"
    return f"it plays {note_name(note + cents / 100.0)}, {asked} was asked for"


def _missed_tempo(tempo: float | None, asked: float, beat_expected: bool) -> str:
    if tempo is None:
        return f"no beat was found, {asked:g} bpm was asked for" if beat_expected else ""
    if any(related_tempo(tempo * factor, asked) == "same" for factor in (0.5, 1.0, 2.0)):
        return ""
    return f"its tempo is {tempo:g} bpm, {asked:g} was asked for"


def _missed_key(share: float | None, key: str) -> str:
    if share is None:
        return f"no tones were found, {key} was asked for"
    return "" if share >= IN_KEY else f"only {share:.0%} of its tones are in {key}"


def _note_mismatch(cents: float | None) -> float:
    if cents is None:
        return 1.0
    if abs(cents) <= _MAX_CENTS:
        return 0.0
    return 0.5 if abs(cents - 1200.0 * round(cents / 1200.0)) <= _MAX_CENTS else 1.0
