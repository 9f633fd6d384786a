"""Slaney's mel scale: linear below 1 kHz, logarithmic above.

Source: M. Slaney, "Auditory Toolbox", 1998.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from server.model.manifest import Manifest

__all__ = [
    "KNEE_HZ",
    "KNEE_MEL",
    "LOG_STEP",
    "corners_hz",
    "hz_to_mel",
    "latent_bin_edges_hz",
    "mel_filterbank",
    "mel_to_hz",
]

KNEE_HZ: Final = 1000.0
"""Where the scale turns from linear to logarithmic."""
KNEE_MEL: Final = 15.0
LOG_STEP: Final = math.log(6.4) / 27.0
"""Natural logarithm of the ratio between two neighbouring mels above the knee."""
_HZ_PER_MEL: Final = 200.0 / 3.0

Curve = npt.NDArray[np.float64]


def hz_to_mel(hertz: npt.ArrayLike) -> Curve:
    """Mels of frequencies in Hz."""
    hz = np.asarray(hertz, np.float64)
    linear = hz / _HZ_PER_MEL
    logarithmic = KNEE_MEL + np.log(np.maximum(hz, 1.0) / KNEE_HZ) / LOG_STEP
    return np.where(hz >= KNEE_HZ, logarithmic, linear)


def mel_to_hz(mels: npt.ArrayLike) -> Curve:
    """Frequencies in Hz of ``mels``."""
    mel = np.asarray(mels, np.float64)
    linear = mel * _HZ_PER_MEL
    logarithmic = KNEE_HZ * np.exp(LOG_STEP * (mel - KNEE_MEL))
    return np.where(mel >= KNEE_MEL, logarithmic, linear)


def mel_filterbank(
    *, sample_rate: int, n_fft: int, num_mels: int, fmin: float = 0.0, fmax: float | None = None
) -> npt.NDArray[np.float32]:
    """Triangular filters of equal area on the mel scale.

    Args:
        sample_rate: of the waveform, in Hz.
        n_fft: length of the Fourier transform, in samples.
        num_mels: number of filters between ``fmin`` and ``fmax``.
        fmin: lower corner of the first filter, in Hz.
        fmax: upper corner of the last filter, in Hz; half the sample rate where it is None.

    Returns:
        weights of the magnitude spectrum, float32 [num_mels, n_fft // 2 + 1].
    """
    corners = corners_hz(num_mels, fmin, sample_rate / 2 if fmax is None else fmax)
    bins = np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1)
    slopes = corners[:, None] - bins[None, :]
    widths = np.diff(corners)
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (corners[2:] - corners[:-2]))[:, None]).astype(np.float32)


def latent_bin_edges_hz(manifest: Manifest) -> Curve:
    """Lower and upper corner of the band that each latent bin covers.

    The filters run from 0 Hz to half the sample rate. A bin covers ``num_mels / mel_bins`` of
    them, from the lower corner of its first to the upper corner of its last.

    Returns:
        frequencies in Hz, [mel_bins, 2].
    """
    corners = corners_hz(manifest.num_mels, 0.0, manifest.sample_rate / 2)
    per_bin = manifest.num_mels // manifest.latent.mel_bins
    first = np.arange(manifest.latent.mel_bins) * per_bin
    return np.stack([corners[first], corners[first + per_bin + 1]], axis=1)


def corners_hz(num_mels: int, fmin: float, fmax: float) -> Curve:
    """Where the triangles begin, peak and end, [num_mels + 2]."""
    ends = hz_to_mel([fmin, fmax])
    return mel_to_hz(np.linspace(ends[0], ends[1], num_mels + 2))
