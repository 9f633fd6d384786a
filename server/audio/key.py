"""Whether a sound is in a key: the tones in its spectrum against the notes of the scale.

A scale is a set of pitch classes. A minor and C major have the same, so they cannot be told apart.

>>> sorted(scale_of("A minor")) == sorted(scale_of("C major"))
True
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from server.note_names import pitch_class

__all__ = ["scale_of", "scale_share"]

_STEPS: Final = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
_WINDOW_S: Final = 0.256
_LOWEST_HZ: Final = 55.0
_HIGHEST_HZ: Final = 1100.0
"""Higher partials are mostly harmonics, some of which lie outside the scale."""
_PROMINENCE: Final = 8.0
"""A tone is this much louder than the median of the bins around it."""
_AROUND: Final = 24
_QUIET: Final = 0.03
"""Tones this far below the loudest one of the sound do not count."""
_FEWEST: Final = 0.2
"""Share of the windows that hold a tone, below which a sound has none."""

Spectrum = npt.NDArray[np.float64]


def scale_of(key: str) -> frozenset[int]:
    """The pitch classes (C is 0) of a key such as ``F# minor``."""
    tonic, mode = key.split()
    first = pitch_class(tonic[0], tonic[1:])
    return frozenset((first + step) % 12 for step in _STEPS[mode])


def scale_share(samples: npt.NDArray[np.floating], key: str, sample_rate: int) -> float | None:
    """The share of the tones in ``samples`` [frames] that are notes of ``key``, by level.

    Returns:
        0 to 1, where noise that happens to peak has 7/12; None where there are no tones.
    """
    hertz, levels, voiced = _tones(samples.astype(np.float64), sample_rate)
    if voiced < _FEWEST or not len(hertz):
        return None
    classes = np.round(69.0 + 12.0 * np.log2(hertz / 440.0)).astype(int) % 12
    inside = np.isin(classes, list(scale_of(key)))
    return float(levels[inside].sum() / levels.sum())


def _tones(samples: Spectrum, sample_rate: int) -> tuple[Spectrum, Spectrum, float]:
    """Frequencies and levels of all tones, and the share of the windows that hold one."""
    length = round(_WINDOW_S * sample_rate)
    padded = np.pad(samples, (0, max(0, length - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[:: length // 4]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(length), axis=1))
    found = [_peaks(spectrum, sample_rate / length) for spectrum in spectra]
    loudest = max((levels.max(initial=0.0) for _, levels in found), default=0.0)
    hertz = np.concatenate([each for each, _ in found])
    levels = np.concatenate([each for _, each in found])
    loud = levels > _QUIET * loudest
    voiced = sum(bool(len(each)) for each, _ in found) / len(found)
    return hertz[loud], levels[loud], voiced


def _peaks(spectrum: Spectrum, bin_hz: float) -> tuple[Spectrum, Spectrum]:
    """Frequencies and magnitudes of the tones in one window that are no harmonics of others."""
    lowest, highest = round(_LOWEST_HZ / bin_hz), round(_HIGHEST_HZ / bin_hz)
    inner = spectrum[lowest:highest]
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(spectrum, _AROUND, mode="edge"), 2 * _AROUND + 1
    )[lowest:highest]
    peaks = (inner >= spectrum[lowest - 1 : highest - 1]) & (
        inner > spectrum[lowest + 1 : highest + 1]
    )
    bins = lowest + np.flatnonzero(peaks & (inner > _PROMINENCE * np.median(around, axis=1)))
    exact = np.array([_vertex(spectrum, int(index)) for index in bins])
    own = [k for k in range(len(bins)) if not _is_harmonic(exact, spectrum[bins], k)]
    return exact[own] * bin_hz, spectrum[bins][own]


def _vertex(spectrum: Spectrum, index: int) -> float:
    left, middle, right = np.log(spectrum[index - 1 : index + 2] + 1e-12)
    bend = left - 2.0 * middle + right
    return float(index if bend >= 0.0 else index + 0.5 * (left - right) / bend)


def _is_harmonic(hertz: Spectrum, levels: Spectrum, k: int) -> bool:
    """True where a tone lies at a multiple of a lower one that is at least half as loud."""
    lower = hertz[:k][levels[:k] >= 0.5 * levels[k]]
    ratio = hertz[k] / lower
    return bool(np.any((np.round(ratio) >= 2) & (np.abs(ratio / np.round(ratio) - 1.0) < 0.01)))
