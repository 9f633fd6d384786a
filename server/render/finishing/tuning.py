"""A sound that names a note is brought to it, as a sampler tunes its samples.

A mel spectrogram is stretched in time by the factor by which its sound is then played faster. So
the pitch moves, and the length stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from server.audio.pitch import note_pitch, octave_error
from server.audio.waveform import Waveform
from server.render.finishing.note_tempo_check import ANALYSIS_RATE, analysed

__all__ = ["tuned"]

FURTHEST_CENTS: Final = 220.0
"""A whole tone. Further off, the colour of an instrument would change with its pitch."""
NEAR_CENTS: Final = 3.0
"""What nobody hears is left as it is."""
_VOICED: Final = 0.5
_STEADY: Final = 0.25


def tuned(decode: Callable[[float], Waveform], note: float) -> tuple[Waveform, float]:
    """The sound at MIDI ``note`` in any octave, and by how many cents it was moved.

    Args:
        decode: makes the sound at that many times its own pitch.
        note: 0 where no note is asked for.

    Returns:
        the sound as it is where it plays no steady note, or another one than ``note``.
    """
    sound = decode(1.0)
    cents = _deviation(sound, note) if note else None
    if cents is None or not NEAR_CENTS < abs(cents) <= FURTHEST_CENTS:
        return sound, 0.0
    moved = decode(2.0 ** (-cents / 1200.0))
    left = _deviation(moved, note)
    if left is None or abs(left) >= abs(cents):
        return sound, 0.0
    return moved, round(-cents, 1)


def _deviation(sound: Waveform, note: float) -> float | None:
    """Cents from ``note`` in the nearest octave; None where there is no steady pitch."""
    pitch = note_pitch(analysed(sound), ANALYSIS_RATE)
    if math.isnan(pitch.hz) or pitch.voiced < _VOICED or pitch.steady < _STEADY:
        return None
    return octave_error(pitch.hz, note)[1]
