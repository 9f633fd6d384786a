"""The pitch of a note: YIN (de Cheveigné and Kawahara, JASA 111, 2002) over the loud frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["NotePitch", "cents_from", "note_pitch", "octave_error"]

WINDOW_S: Final = 0.064
HOP_S: Final = 0.016
LOWEST_HZ: Final = 32.0
HIGHEST_HZ: Final = 4500.0
DIP: Final = 0.15
"""The first dip of the difference function below this is the period."""
NOISY_DIP: Final = 0.05
"""In noise, dips at multiples of the period may be this much deeper by chance."""
APERIODIC: Final = 0.3
"""Frames whose best dip stays above this have no pitch."""
QUIET_DB: Final = 30.0
"""Frames this far below the loudest are not measured."""


@dataclass(frozen=True)
class NotePitch:
    """A pitch in ``hz`` (NaN where nothing is periodic) with two measures of confidence."""

    hz: float
    voiced: float
    """Share of the loud frames that are periodic."""
    steady: float
    """Share of the periodic frames within 50 cents of ``hz``."""


def note_pitch(samples: npt.NDArray[np.floating], sample_rate: int = 16000) -> NotePitch:
    """Estimate the pitch of a single note in ``samples`` [frames]: the median over its frames."""
    frames, energies = _loud_frames(samples.astype(np.float64), sample_rate)
    if not len(frames):
        return NotePitch(math.nan, 0.0, 0.0)
    periods = np.array([_period(frame, sample_rate) for frame in frames])
    voiced = np.isfinite(periods)
    if not voiced.any():
        return NotePitch(math.nan, 0.0, 0.0)
    octaves = np.log2(sample_rate / periods[voiced])
    centre = _weighted_median(octaves, np.sqrt(energies[voiced]))
    steady = float(np.mean(np.abs(octaves - centre) < 50 / 1200))
    return NotePitch(float(2.0**centre), float(voiced.mean()), steady)


def cents_from(hz: float, midi: float) -> float:
    """Return the interval from MIDI note ``midi`` up to ``hz`` in cents (A4 = 440 Hz = 69)."""
    return 1200.0 * math.log2(hz / 440.0) - 100.0 * (midi - 69.0)


def octave_error(hz: float, midi: float) -> tuple[int, float]:
    """Return the deviation of ``hz`` as whole octaves and the remaining cents in [-600, 600)."""
    cents = cents_from(hz, midi)
    octaves = math.floor((cents + 600.0) / 1200.0)
    return octaves, cents - 1200.0 * octaves


def _loud_frames(
    samples: npt.NDArray[np.float64], sample_rate: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Frames of a window plus the longest lag, and their energies."""
    length = int(WINDOW_S * sample_rate) + int(sample_rate / LOWEST_HZ) + 2
    padded = np.pad(samples, (0, max(0, length - len(samples))))
    hop = int(HOP_S * sample_rate)
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    energies = np.square(frames).mean(axis=1)
    loud = energies > max(energies.max() * 10 ** (-QUIET_DB / 10), 1e-12)
    return frames[loud], energies[loud]


def _period(frame: npt.NDArray[np.float64], sample_rate: int) -> float:
    """Period of ``frame`` in samples, NaN where it is not periodic."""
    difference = _normalised_difference(frame, int(WINDOW_S * sample_rate))
    shortest = int(sample_rate / HIGHEST_HZ)
    lag = _first_dip(difference, shortest)
    if difference[lag] > APERIODIC:
        return math.nan
    # At high pitches a period is few samples: a dip at a multiple of it is more precise.
    rough = _interpolated(difference, lag)
    multiple = max(1, min(8, int((len(difference) - 2) / rough)))
    near = round(multiple * rough)
    reach = max(1, int(rough / 4))
    start = max(1, near - reach)
    far = start + int(np.argmin(difference[start : near + reach + 1]))
    return _interpolated(difference, min(far, len(difference) - 2)) / multiple


def _normalised_difference(frame: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    """YIN's cumulative mean normalised difference, by FFT, for lags 0 to len(frame) - window."""
    num_lags = len(frame) - window
    size = 1 << (len(frame) + window).bit_length()
    spectrum = np.fft.rfft(frame, size)
    head = np.fft.rfft(frame[:window], size)
    correlation = np.fft.irfft(spectrum * head.conj(), size)[:num_lags]
    energy = np.concatenate(([0.0], np.cumsum(np.square(frame))))
    energies = energy[window : window + num_lags] - energy[:num_lags]
    difference = np.maximum(energies[0] + energies - 2.0 * correlation, 0.0)
    total = np.cumsum(difference)
    normalised = np.ones(num_lags)
    normalised[1:] = difference[1:] * np.arange(1, num_lags) / np.maximum(total[1:], 1e-20)
    return normalised


def _first_dip(difference: npt.NDArray[np.float64], shortest: int) -> int:
    best = float(np.min(difference[shortest:-1]))
    below = np.flatnonzero(difference[shortest:-1] < max(DIP, best + NOISY_DIP))
    lag = shortest + int(below[0])
    while lag + 2 < len(difference) and difference[lag + 1] < difference[lag]:
        lag += 1
    return lag


def _interpolated(values: npt.NDArray[np.float64], index: int) -> float:
    """Return the vertex of the parabola through three neighbours."""
    left, middle, right = values[index - 1 : index + 2]
    bend = left - 2.0 * middle + right
    return index if bend <= 0.0 else index + float(np.clip(0.5 * (left - right) / bend, -1, 1))


def _weighted_median(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
