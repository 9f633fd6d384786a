"""A limiter of true peaks: peaks between samples count too (ITU-R BS.1770-4, annex 2)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from server.audio.waveform import Waveform

__all__ = ["limited_true_peaks", "true_peak"]

_OVERSAMPLING: Final = 4
_ATTACK_S: Final = 0.0015
"""How far before a peak the gain begins to fall: too short to be heard as a fade."""
_RELEASE_DB_A_SECOND: Final = 100.0
_NEAR: Final = 0.5
"""Sample peaks below this share of the limit have no true peak above it."""
_AROUND: Final = 64
"""Samples on either side that the interpolation needs."""
Curve = npt.NDArray[np.float64]


def true_peak(sound: Waveform) -> float:
    """Highest peak of the continuous signal, as an amplitude."""
    peak = sound.peak
    return float(_between(sound, peak).max(initial=peak))


def limited_true_peaks(sound: Waveform, limit: float, *, circular: bool = False) -> Waveform:
    """Reduce the gain around true peaks above ``limit``, by the same for all channels.

    It falls within 1.5 ms and recovers by 100 dB a second.
    """
    level = _between(sound, limit)
    if float(level.max(initial=0.0)) <= limit:
        return sound
    needed_db = 20.0 * np.log10(np.maximum(level, limit) / limit)
    turns = 3 if circular else 1
    reduction = _released(np.tile(needed_db, turns), sound.sample_rate)
    smooth = _smoothed(reduction, max(1, round(_ATTACK_S * sound.sample_rate)))
    own = slice(len(level), 2 * len(level)) if circular else slice(None)
    gain = 10.0 ** (-smooth[own] / 20.0)
    return sound.with_samples(np.asarray(sound.samples * gain[:, None], np.float32))


def _between(sound: Waveform, limit: float) -> Curve:
    """Level of each sample, and of the signal up to the next one where it may pass ``limit``."""
    import soxr

    level: Curve = np.abs(sound.samples).max(axis=1, initial=0.0).astype(np.float64)
    near = np.flatnonzero(level > _NEAR * limit)
    if not len(near):
        return level
    parts = np.split(near, np.flatnonzero(np.diff(near) > 2 * _AROUND) + 1)
    for part in parts:
        first, end = max(0, part[0] - _AROUND), min(len(level), part[-1] + _AROUND + 1)
        padded = np.pad(sound.samples[first:end], ((_AROUND, _AROUND), (0, 0)))
        fine = np.abs(soxr.resample(padded, 1, _OVERSAMPLING, quality="HQ")).max(axis=1)
        fine = fine[: len(padded) * _OVERSAMPLING].reshape(-1, _OVERSAMPLING).max(axis=1)
        own = fine[_AROUND : _AROUND + end - first]
        level[first:end] = np.maximum(level[first:end], own)
    return level


def _released(needed_db: Curve, sample_rate: int) -> Curve:
    """``needed_db`` that falls no faster than the release."""
    slope = np.arange(len(needed_db)) * (_RELEASE_DB_A_SECOND / sample_rate)
    return np.asarray(np.maximum.accumulate(needed_db + slope) - slope)


def _smoothed(reduction: Curve, attack: int) -> Curve:
    """Begin ``attack`` samples earlier, then average over as many: never less than needed."""
    held = _maximum_ahead(reduction, attack)
    window = np.hanning(attack + 2)[1:-1]
    padded = np.concatenate((np.full(attack - 1, held[0]), held))
    smooth = np.convolve(padded, window / window.sum(), mode="valid")
    return np.asarray(np.maximum(smooth, reduction) + 1e-9)


def _maximum_ahead(values: Curve, reach: int) -> Curve:
    """Largest of each value and the ``reach - 1`` after it, by doubling."""
    result, done = values.copy(), 1
    while done < reach:
        step = min(done, reach - done)
        result[:-step] = np.maximum(result[:-step], result[step:])
        done += step
    return result
