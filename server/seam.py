"""How audible a join is, in decibels above what the sound itself does all the time.

At a place p, third-octave band levels are compared: the 40 ms before with the 40 ms after (a
step in level or colour), and the 5 ms around p with the louder of the 5 ms on either side (a
click). ``jump_db`` is the mean step plus the mean excess over the bands. A seam is the jump at
the join less the median jump elsewhere in the same sound: about 0 where nobody can tell, some
10 dB where a clip was cut and something else put there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from server.waveform import Waveform

__all__ = ["jump_db", "ring_seam_db", "seam_db"]

_STEP_S: Final = 0.04
_CLICK_S: Final = 0.005
_RANGE_DB: Final = 60.0
"""Bands this far below the loudest one are not heard beside it."""
_PLACES: Final = 64
Levels = npt.NDArray[np.float64]


def jump_db(sound: Waveform, at: int) -> float:
    """How much the spectrum changes at sample ``at``; the sound is read as a ring."""
    step = round(_STEP_S * sound.sample_rate)
    before, after = _levels(sound, at - step, step), _levels(sound, at, step)
    click = max(16, round(_CLICK_S * sound.sample_rate))
    middle = _levels(sound, at - click // 2, click)
    sides = np.maximum(
        _levels(sound, at - click // 2 - click, click), _levels(sound, at + click // 2, click)
    )
    top = max(float(before.max()), float(after.max())) - _RANGE_DB
    short_top = float(np.maximum(middle, sides).max()) - _RANGE_DB
    stepped = np.abs(np.maximum(after, top) - np.maximum(before, top)).mean()
    clicked = np.maximum(np.maximum(middle, short_top) - np.maximum(sides, short_top), 0).mean()
    return float(stepped + clicked)


def seam_db(sound: Waveform, joins: Sequence[int], elsewhere: Iterable[int]) -> float:
    """The worst of ``joins`` less the median of the jumps ``elsewhere``."""
    usual = float(np.median([jump_db(sound, place) for place in elsewhere] or [0.0]))
    return round(max((jump_db(sound, join) for join in joins), default=usual) - usual, 2)


def ring_seam_db(ring: Waveform) -> float:
    """The seam of a loop: where its end meets its beginning, against places inside it."""
    inside = np.linspace(0, ring.frames, min(_PLACES, ring.frames) + 2)[1:-1].astype(int)
    return seam_db(ring, [0], inside.tolist())


def _levels(sound: Waveform, start: int, length: int) -> Levels:
    """Band levels in dB of ``length`` frames from ``start``, [bands]."""
    index = np.arange(start, start + length) % sound.frames
    piece = sound.samples[index].astype(np.float64) * np.hanning(length)[:, None]
    power = np.square(np.abs(np.fft.rfft(piece, axis=0))).sum(axis=1) / length
    edges = _edges(length, sound.sample_rate)
    sums = np.add.reduceat(power, edges)
    return np.asarray(10.0 * np.log10(sums + 1e-12))


def _edges(length: int, sample_rate: int) -> npt.NDArray[np.int64]:
    """First bin of each band; bands are a third of an octave, or one bin where that is wider."""
    hz = 50.0 * 2.0 ** (np.arange(40) / 3.0)
    bins = np.round(hz[hz < 0.45 * sample_rate] * length / sample_rate).astype(np.int64)
    return np.unique(np.maximum(bins, 1))
