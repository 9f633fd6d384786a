"""Where the mel bands lie: Slaney's scale, linear below 1 kHz and logarithmic above."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from server.model.manifest import Manifest

__all__ = ["latent_bin_edges_hz"]

_HZ_PER_MEL: Final = 200.0 / 3.0
_KNEE_HZ: Final = 1000.0
_KNEE_MEL: Final = _KNEE_HZ / _HZ_PER_MEL
_LOG_STEP: Final = np.log(6.4) / 27.0


def latent_bin_edges_hz(manifest: Manifest) -> npt.NDArray[np.float64]:
    """Lower and upper corner of what each latent bin stands for, [mel_bins, 2], in Hz.

    The filters run from 0 Hz to half the sample rate; a bin covers ``num_mels / mel_bins`` of
    them, from the lower corner of its first to the upper corner of its last.
    """
    top = _hz_to_mel(manifest.sample_rate / 2.0)
    corners = _mel_to_hz(np.linspace(0.0, top, manifest.num_mels + 2))
    per_bin = manifest.num_mels // manifest.latent.mel_bins
    first = np.arange(manifest.latent.mel_bins) * per_bin
    return np.stack([corners[first], corners[first + per_bin + 1]], axis=1)


def _hz_to_mel(hz: float) -> float:
    if hz < _KNEE_HZ:
        return hz / _HZ_PER_MEL
    return float(_KNEE_MEL + np.log(hz / _KNEE_HZ) / _LOG_STEP)


def _mel_to_hz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    high = _KNEE_HZ * np.exp(_LOG_STEP * (mels - _KNEE_MEL))
    return np.where(mels < _KNEE_MEL, mels * _HZ_PER_MEL, high)
