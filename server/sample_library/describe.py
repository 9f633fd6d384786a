"""What a sound is: note, tempo, loudness, one-shot or loop. From its samples and its name."""

from __future__ import annotations

import math
import re
from typing import Final

import numpy as np

from server.audio.beat import beat_in, grid_alignment, onset_strength, onsets_of
from server.audio.pitch import note_pitch
from server.audio.waveform import Samples
from server.sample_library.sample import Character

__all__ = ["bpm_of", "character_of", "note_of", "peaks_of"]

_RATE: Final = 16000
_NAMED_BPM: Final = re.compile(r"(?<!\d)(\d{2,3}(?:\.\d{1,2})?)[ _-]?bpm(?![a-z])", re.IGNORECASE)
_NAMED: Final[dict[Character, re.Pattern[str]]] = {
    "loop": re.compile(r"(?<![a-z])loops?(?![a-z])", re.IGNORECASE),
    "one-shot": re.compile(r"(?<![a-z])one[ _-]?shots?(?![a-z])", re.IGNORECASE),
}
_ONSETS: Final = 6
_ON_GRID: Final = 0.6
"""Fewer onsets, or less even ones, have no tempo; 6 random ones reach 0.4."""
_NOTE_S: Final = 1.5
_VOICED: Final = 0.7
_STEADY: Final = 0.7
_DECAY_DB: Final = 20.0
"""The last quarter of a one-shot is this far below its loudest quarter."""
_ONE_SHOT_S: Final = 8.0
_EVEN_DB: Final = 9.0
"""The ends of a loop are within this of its mean level."""
_WHOLE_BEATS: Final = 0.02
_PEAKS: Final = 96


def note_of(mono: Samples) -> float | None:
    """The MIDI number of the note in ``mono`` [frames] at 16 kHz, where it is a single one."""
    loudest = int(np.argmax(np.abs(mono))) if len(mono) else 0
    pitch = note_pitch(mono[loudest : loudest + round(_NOTE_S * _RATE)], _RATE)
    if math.isnan(pitch.hz) or pitch.voiced < _VOICED or pitch.steady < _STEADY:
        return None
    return 69.0 + 12.0 * math.log2(pitch.hz / 440.0)


def bpm_of(mono: Samples, name: str) -> float | None:
    """The tempo that the file's name tells, else what the beat of ``mono`` at 16 kHz tells."""
    if named := _NAMED_BPM.search(name):
        return float(named[1])
    strength = onset_strength(mono, _RATE)
    onsets, bpm = onsets_of(strength, _RATE), beat_in(strength)[0]
    if math.isnan(bpm) or len(onsets) < _ONSETS or grid_alignment(onsets, bpm) < _ON_GRID:
        return None
    return bpm


def character_of(mono: Samples, name: str, bpm: float | None) -> Character:
    """Whether a sound is a one-shot or a loop: its name says it, or its envelope does."""
    for character, pattern in _NAMED.items():
        if pattern.search(name):
            return character
    seconds = len(mono) / _RATE
    levels_db = [_level_db(part) for part in np.array_split(mono, 4)]
    if seconds <= _ONE_SHOT_S and max(levels_db[:2]) - levels_db[-1] > _DECAY_DB:
        return "one-shot"
    if bpm is None:
        return ""
    beats = seconds * bpm / 60.0
    whole = beats >= 3.5 and abs(beats - round(beats)) <= _WHOLE_BEATS * beats
    even = max(levels_db) - min(levels_db[0], levels_db[-1]) <= _EVEN_DB
    return "loop" if whole and even else ""


def peaks_of(mono: Samples) -> bytes:
    """The largest sample in each of 96 parts of ``mono``, 255 for full scale."""
    parts = np.array_split(np.abs(mono), _PEAKS)
    largest = np.array([part.max(initial=0.0) for part in parts])
    return bytes(np.round(255.0 * np.clip(largest, 0.0, 1.0)).astype(np.uint8))


def _level_db(samples: Samples) -> float:
    power = float(np.mean(np.square(samples))) if len(samples) else 0.0
    return 10.0 * math.log10(max(power, 1e-12))
