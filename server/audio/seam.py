"""How audible a join is, in decibels.

The jump at a sample compares third-octave band levels in two ways:

- a step: the 40 ms before the sample against the 40 ms after it;
- a click: the 5 ms around the sample against the louder of the 5 ms on either side.

The jump is the mean step plus the mean excess of the click over all bands. Levels 60 dB below
the loudest band count as silence. The seam is the jump at the join minus the median jump
elsewhere in the same sound. Inaudible joins are near 0 dB; a hard cut is 10 dB and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from server.audio.waveform import Waveform

__all__ = ["jumps_db", "ring_seam_db", "seam_db"]

_STEP_S: Final = 0.04
_CLICK_S: Final = 0.005
_RANGE_DB: Final = 60.0
"""Bands this far below the loudest one are inaudible beside it."""
_PLACES: Final = 64
Levels = npt.NDArray[np.float64]


def jumps_db(sound: Waveform, places: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return the spectral jump at each sample of ``places`` in dB; the sound is read as a loop."""
    step = round(_STEP_S * sound.sample_rate)
    click = max(16, round(_CLICK_S * sound.sample_rate))
    half = click // 2
    before, after = (_levels(sound, places, offset, step) for offset in (-step, 0))
    left, middle, right = (
        _levels(sound, places, offset, click) for offset in (-half - click, -half, half)
    )
    stepped = np.abs(_audible(after, after, before) - _audible(before, after, before))
    sides = np.maximum(left, right)
    clicked = np.maximum(_audible(middle, middle, sides) - _audible(sides, middle, sides), 0.0)
    return np.asarray(stepped.mean(axis=1) + clicked.mean(axis=1))


def seam_db(sound: Waveform, joins: Sequence[int], elsewhere: Sequence[int]) -> float:
    """Return the largest jump at ``joins`` minus the median jump ``elsewhere``, in dB."""
    jumps = jumps_db(sound, [*joins, *elsewhere])
    usual = float(np.median(jumps[len(joins) :])) if elsewhere else 0.0
    return round(float(jumps[: len(joins)].max()) - usual, 2)


def ring_seam_db(ring: Waveform) -> float:
    """Return the seam in dB between the end of a loop and its beginning."""
    inside = np.linspace(0, ring.frames, min(_PLACES, ring.frames) + 2)[1:-1].astype(int)
    return seam_db(ring, [0], inside.tolist())


def _audible(levels: Levels, *both: Levels) -> Levels:
    """Raise ``levels`` below the audible range to its floor."""
    return np.maximum(levels, max(float(part.max()) for part in both) - _RANGE_DB)


def _levels(sound: Waveform, places: Sequence[int], offset: int, length: int) -> Levels:
    """Band levels in dB of ``length`` frames from each place + ``offset``, [places, bands]."""
    window = np.hanning(length)[:, None]
    edges = _edges(length, sound.sample_rate)
    rows = []
    for place in places:
        index = np.arange(place + offset, place + offset + length) % sound.frames
        piece = sound.samples[index].astype(np.float64) * window
        power = np.square(np.abs(np.fft.rfft(piece, axis=0))).sum(axis=1) / length
        rows.append(10.0 * np.log10(np.add.reduceat(power, edges) + 1e-12))
    return np.stack(rows)


def _edges(length: int, sample_rate: int) -> npt.NDArray[np.int64]:
    """First bin of each band; bands are a third of an octave, or one bin where that is wider."""
    hz = 50.0 * 2.0 ** (np.arange(40) / 3.0)
    bins = np.round(hz[hz < 0.45 * sample_rate] * length / sample_rate).astype(np.int64)
    return np.unique(np.maximum(bins, 1))
