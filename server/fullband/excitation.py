"""The two sounds that the upper band is shaped from; both follow the take's own envelope.

- **noise**: noise of the take's seed, times a follower of the octave below 8 kHz. The follower
  rises at once and falls slowly, so that nothing sounds before an onset.
- **overtones**: square and cube of that octave. Partials ``a`` and ``b`` give ``a + b``, so the
  partials of a tone continue on its own grid and clicks stay clicks. Neither reaches above
  24 kHz, so nothing is aliased.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from server.fullband.analysis import RATE, Array, bandpass

__all__ = ["Excitation", "excitation", "follower", "octave_of"]

Excitation = tuple[Array, Array]
"""Noise and overtones, [S] each."""

_LOW_HZ: Final = 3_700.0
_HIGH_HZ: Final = 7_900.0
_TAPS: Final = 95
_RELEASE_S: Final = 0.012
"""Time constant of the follower."""
_SILENCE: Final = 1e-7


def octave_of(samples: Array) -> Array:
    """The octave below 8 kHz of ``samples`` [S]."""
    return bandpass(samples, _LOW_HZ, _HIGH_HZ, _TAPS)


def excitation(octave: Array, noise: Array) -> Excitation:
    """Both sounds for an octave [S] and standard normal noise [S]."""
    envelope = follower(octave)
    shape = octave / np.maximum(envelope, np.float32(_SILENCE))
    square = np.square(shape)
    overtones = envelope * (square + square * shape)
    return envelope * noise, np.asarray(overtones, np.float32)


def follower(samples: Array) -> Array:
    """Peaks of ``samples`` [S] that fall exponentially.

    ``y[n] = max(|x[n]|, r y[n-1])``, as a running maximum of ``log|x[n]| + n log(1/r)``.
    """
    slope = np.arange(len(samples)) / (_RELEASE_S * RATE)
    rising = np.log(np.abs(samples) + _SILENCE, dtype=np.float64) + slope
    return np.exp(np.maximum.accumulate(rising) - slope).astype(np.float32)
