"""Spectra and features from which the upper band is predicted.

All of it works at 48 kHz on sound that ends at 8 kHz. Frame ``k`` is centred on sample ``256 k``.
A take is divided by its :func:`level` first, so that a quiet take is treated like a loud one.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.fft

__all__ = [
    "BAND_EDGES_HZ",
    "CROSSOVER_HZ",
    "FRAMES_A_STEP",
    "HOP",
    "NUM_BANDS",
    "NUM_FEATURES",
    "N_FFT",
    "RATE",
    "Array",
    "Spectrum",
    "band_power",
    "bandpass",
    "features",
    "frame_count",
    "inverse_stft",
    "level",
    "reference_log_power",
    "stft",
    "typical_log_power",
]

Array = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]

RATE: Final = 48_000
N_FFT: Final = 1024
HOP: Final = 256
FRAMES_A_STEP: Final = 4
"""Frames that the network takes and predicts together."""
CROSSOVER_HZ: Final = 7_800.0
BAND_EDGES_HZ: Final = np.arange(7_500.0, 20_501.0, 500.0)
"""Bands whose power is predicted."""
NUM_BANDS: Final = len(BAND_EDGES_HZ) - 1
POWER_FLOOR: Final = 1e-11
"""Added to powers before their logarithm; a take's loudest 20 ms have power 1."""

_WINDOW: Final = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
_ANALYSIS: Final = _WINDOW / np.float32(np.sqrt(np.sum(np.square(_WINDOW))))
"""White noise of variance 1 has power 1 in each bin."""
_SYNTHESIS: Final = _WINDOW * np.float32(np.sqrt(np.sum(np.square(_WINDOW))) / 1.5)
"""Squared Hann windows at this overlap sum to 1.5."""
_HZ: Final = np.fft.rfftfreq(N_FFT, 1.0 / RATE)
_LEVEL_BLOCK: Final = 960
_TOP_OCTAVE: Final = (80, 166)
"""Bins of 3.75 to 7.8 kHz: what is predicted is relative to their power."""
_BLOCKS: Final = 4
"""Parts of a frame whose power is a feature; they show where in it an onset lies."""


def _low_edges() -> npt.NDArray[np.int64]:
    """Edges in bins of the bands below 8 kHz: equal steps on the mel scale, one bin at least."""
    top = 2595.0 * np.log10(1.0 + 8000.0 / 700.0)
    hz = 700.0 * (10.0 ** (np.linspace(0.0, top, 61) / 2595.0) - 1.0)
    return np.unique(np.round(hz / _HZ[1]).astype(np.int64))


_LOW_EDGES: Final = _low_edges()
_CREST_EDGES: Final = np.linspace(0, 171, 17).astype(np.int64)
_UPPER_EDGES: Final = np.searchsorted(_HZ, BAND_EDGES_HZ)
_EXPONENT: Final = 0.3
NUM_FEATURES: Final = len(_LOW_EDGES) - 1 + len(_CREST_EDGES) - 1 + _BLOCKS + 1


def level(samples: Array) -> float:
    """RMS of the loudest 20 ms of ``samples`` [S]; 0 for silence."""
    blocks = np.pad(samples, (0, -len(samples) % _LEVEL_BLOCK)).reshape(-1, _LEVEL_BLOCK)
    if not len(blocks):
        return 0.0
    return float(np.sqrt(np.einsum("bs,bs->b", blocks, blocks).max() / _LEVEL_BLOCK))


def frame_count(samples: int) -> int:
    """Frames that cover ``samples``, whole network steps."""
    return FRAMES_A_STEP * -(-(samples // HOP + 2) // FRAMES_A_STEP)


def stft(samples: Array) -> Spectrum:
    """Spectrum [frames, 513] of ``samples`` [S]."""
    frames = frame_count(len(samples))
    missing = (frames - 1) * HOP + N_FFT // 2 - len(samples)
    padded = np.pad(samples, (N_FFT // 2, missing))
    cut = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    spectrum: Spectrum = scipy.fft.rfft(cut * _ANALYSIS, axis=1)
    return spectrum


def inverse_stft(spectrum: Spectrum, samples: int) -> Array:
    """The ``samples`` whose spectrum is nearest to ``spectrum``."""
    frames = scipy.fft.irfft(spectrum, N_FFT, axis=1)
    frames *= _SYNTHESIS
    blocks = frames.reshape(len(frames), -1, HOP)
    total = np.zeros((len(frames) + blocks.shape[1] - 1, HOP), np.float32)
    for place in range(blocks.shape[1]):
        total[place : place + len(frames)] += blocks[:, place]
    return total.reshape(-1)[N_FFT // 2 :][:samples]


def band_power(spectrum: Spectrum) -> Array:
    """Mean power of each predicted band, [frames, bands]."""
    return _mean_power(_power(spectrum), _UPPER_EDGES)


def typical_log_power(spectrum: Spectrum) -> Array:
    """Log of a generalised mean power of each predicted band, [frames, bands].

    It follows holes and single peaks less than the mean does, and equals it for white noise.
    """
    powers = np.power(_power(spectrum) + np.float32(POWER_FLOOR), np.float32(_EXPONENT))
    mean = np.log(_mean_power(powers, _UPPER_EDGES)) - math.lgamma(1.0 + _EXPONENT)
    return np.asarray(mean / _EXPONENT, np.float32)


def reference_log_power(spectrum: Spectrum) -> Array:
    """Log power of each frame in the octave below 8 kHz, [frames]."""
    first, end = _TOP_OCTAVE
    return _log(_power(spectrum[:, first:end]).mean(axis=1))


def features(samples: Array, octave: Array) -> tuple[Array, Array]:
    """What the network is given.

    Args:
        samples: a take at 48 kHz without its upper band, divided by its :func:`level`, [S].
        octave: its octave below 8 kHz, [S].

    Returns:
        features [frames, NUM_FEATURES] and the reference log power [frames].
    """
    spectrum = stft(samples)
    power = _power(spectrum[:, : _CREST_EDGES[-1]])
    reference = reference_log_power(spectrum)[:, None]
    bands = _log(_mean_power(power, _LOW_EDGES)) - reference
    logarithms = _mean_power(_log(power), _CREST_EDGES)
    crest = _log(_mean_power(power, _CREST_EDGES)) - logarithms
    blocks = _log(_block_power(octave, len(spectrum))) - reference
    joined = np.concatenate((bands, crest, blocks, reference), axis=1)
    return joined, reference[:, 0]


def bandpass(samples: Array, low_hz: float, high_hz: float, taps: int) -> Array:
    """``samples`` [S] through a linear-phase filter whose delay is taken out.

    A windowed difference of two sincs; importing scipy.signal for it would take half a second.
    """
    steps = np.arange(taps) - taps // 2
    sincs = [2.0 * hz / RATE * np.sinc(2.0 * hz / RATE * steps) for hz in (high_hz, low_hz)]
    kernel = ((sincs[0] - sincs[1]) * np.hamming(taps)).astype(np.float32)
    length = scipy.fft.next_fast_len(len(samples) + taps - 1, real=True)
    product = scipy.fft.rfft(samples, length) * scipy.fft.rfft(kernel, length)
    filtered: Array = scipy.fft.irfft(product, length)
    return filtered[taps // 2 :][: len(samples)]


def _power(spectrum: Spectrum) -> Array:
    power: Array = np.square(spectrum.real) + np.square(spectrum.imag)
    return power


def _log(power: Array) -> Array:
    return np.asarray(np.log(power + np.float32(POWER_FLOOR)), np.float32)


def _mean_power(power: Array, edges: npt.NDArray[np.int64]) -> Array:
    """Means over the bins between ``edges``."""
    sums = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    return np.asarray(sums / np.diff(edges).astype(np.float32), np.float32)


def _block_power(octave: Array, frames: int) -> Array:
    """Power of the four blocks of 128 samples around the centre of each frame."""
    size = HOP // 2
    before = size * _BLOCKS // 2
    length = (2 * frames + _BLOCKS - 2) * size
    padded = np.pad(octave[: length - before], (before, max(0, length - before - len(octave))))
    power = np.square(padded).reshape(-1, size).mean(axis=1)
    windows: Any = np.lib.stride_tricks.sliding_window_view(power, _BLOCKS)[::2]
    return np.ascontiguousarray(windows[:frames], np.float32)
