"""Peaks brought under a limit by gain, never by clipping."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from server.audio.formats import FORMATS, FileFormat
from server.audio.waveform import Samples, Waveform

__all__ = ["CEILING_DBFS", "at_peak", "fitted", "holds", "limited"]

CEILING_DBFS: Final = -1.0
"""Highest peak of new sound, and of sound that is turned down to fit into a format."""
_REACH_S: Final = 0.05
"""How far from a peak the gain begins to fall; long enough to leave a bass undistorted."""


def holds(file_format: FileFormat, peak: float) -> bool:
    """True where ``file_format`` stores samples up to ``peak`` without clipping them."""
    return FORMATS[file_format][1] in ("FLOAT", "DOUBLE") or peak <= 1.0


def fitted(
    sound: Waveform, file_format: FileFormat, highest: float = math.inf
) -> tuple[Waveform, float]:
    """Turn ``sound`` down as a whole where ``file_format`` cannot hold its peaks.

    Args:
        sound: full scale is 1.
        file_format: how it is stored.
        highest: highest peak in any format, from 1 on.

    Returns:
        the sound and the attenuation in dB; 0 where nothing was changed.
    """
    peak = sound.peak
    if holds(file_format, peak) and peak <= highest:
        return sound, 0.0
    over = holds(file_format, highest) and highest > 1.0
    ceiling = highest if over else 10.0 ** (CEILING_DBFS / 20.0)
    return at_peak(sound, ceiling), 20.0 * math.log10(peak / ceiling)


def at_peak(sound: Waveform, peak: float) -> Waveform:
    """Scale ``sound`` so that no sample exceeds ``peak``, not even by rounding."""
    limit, found = np.float32(peak), np.float32(sound.peak)
    gain = np.float32(peak / sound.peak)
    while found * gain > limit:
        gain = np.nextafter(gain, np.float32(0.0))
    return sound.with_samples(sound.samples * gain)


def limited(samples: Samples, limit: float, sample_rate: int) -> Samples:
    """Reduce the gain smoothly around all samples above ``limit``; [frames, channels].

    The gain is the same for all channels, so that the sound keeps its place between them.
    """
    level = np.abs(samples).max(axis=1, initial=0.0)
    if float(level.max(initial=0.0)) <= limit:
        return samples
    from scipy import ndimage, signal

    needed = limit / np.maximum(level.astype(np.float64), limit)
    width = 2 * max(1, round(_REACH_S * sample_rate)) + 1
    lowest = ndimage.minimum_filter1d(needed, width, mode="nearest")
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(lowest, width // 2, mode="edge")
    smooth = signal.oaconvolve(padded, window / window.sum(), mode="valid")
    gain = np.minimum(smooth, needed)
    # Rounding must not leave a sample above the limit, nor change one far from it.
    gain = np.where(gain > 1.0 - 1e-9, 1.0, gain * (1.0 - 1e-6))
    return np.asarray(samples * gain[:, None], np.float32)
