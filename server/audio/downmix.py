"""Several channels as one or two, so that nothing cancels out.

Surround is folded down to stereo after ITU-R BS.775-3, annex 4. Stereo becomes mono as the mid
signal plus the side signal shifted by 90 degrees. The power of the result is the mean power of
left and right, whatever their correlation; equal channels stay as they are.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["loudness_channels", "to_mono", "to_stereo"]

Samples = npt.NDArray[np.float32]

_SHIFT_S: Final = 0.1
"""Half the length of the filter that shifts by 90 degrees; it works from about 15 Hz on."""
_HALF: Final = 0.70710678
_LFE: Final = 3
_SILENT: Final = 1e-10
"""Share of the power below which the other channels count as silent beside the LFE."""
_GAINS: Final = {
    0: (1.0, 0.0),
    1: (0.0, 1.0),
    2: (_HALF, _HALF),
    3: (0.0, 0.0),
    4: (_HALF, 0.0),
    5: (0.0, _HALF),
    6: (0.924, 0.383),
    7: (0.383, 0.924),
    8: (0.5, 0.5),
    9: (_HALF, 0.0),
    10: (0.0, _HALF),
}
"""Gain into left and right of the speakers in WAVE_FORMAT_EXTENSIBLE's order of bits."""
_OTHER: Final = (0.5, 0.5)
_USUAL: Final = {1: 0x4, 2: 0x3, 3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}
"""Channel masks where a file names none."""
_LOUDNESS_ORDER: Final = (0, 1, 2, 4, 5, 9, 10)
"""Speakers of ITU-R BS.1770, the surrounds last; it leaves out the LFE."""


def to_stereo(samples: Samples, mask: int = 0) -> Samples:
    """Fold ``samples`` [frames, channels] down to [frames, 2]; mono is repeated.

    The LFE is left out, as the standard says, unless it is all there is.

    Args:
        samples: the channels in the order of ``mask``.
        mask: channel mask; 0: by the number of channels.
    """
    channels = samples.shape[1]
    if channels == 1:
        return np.repeat(samples, 2, axis=1)
    if channels == 2:
        return samples
    speakers = _speakers(channels, mask)
    gains = np.array([_GAINS.get(speaker, _OTHER) for speaker in speakers], np.float32)
    folded = np.asarray(samples @ gains, np.float32)
    if _LFE in speakers:
        low = samples[:, speakers.index(_LFE)]
        if _power(folded) < _SILENT * _power(low):
            folded = np.repeat(np.float32(_HALF) * low[:, None], 2, axis=1)
    return folded


def to_mono(samples: Samples, sample_rate: int, mask: int = 0) -> Samples:
    """Mix ``samples`` [frames, channels] down to one channel, [frames]."""
    if samples.shape[1] == 1:
        return np.ascontiguousarray(samples[:, 0])
    left, right = to_stereo(samples, mask).T
    side = np.float32(0.5) * (left - right)
    mid = np.float32(0.5) * (left + right)
    return np.asarray(mid + _shifted(side, sample_rate) if side.any() else mid, np.float32)


def loudness_channels(channels: int, mask: int = 0) -> list[int]:
    """The channels that count for the loudness, in the order of ITU-R BS.1770; at most five."""
    if channels < 3:
        return list(range(channels))
    speakers = _speakers(channels, mask)
    found = [speakers.index(speaker) for speaker in _LOUDNESS_ORDER if speaker in speakers]
    return found[:5] or list(range(min(channels, 5)))


def _speakers(channels: int, mask: int) -> list[int]:
    """The speaker of each channel; -1 for those that the mask does not name."""
    if mask.bit_count() < channels:
        mask = _USUAL.get(channels, mask)
    named = [bit for bit in range(32) if mask >> bit & 1][:channels]
    return named + [-1] * (channels - len(named))


def _shifted(side: Samples, sample_rate: int) -> Samples:
    """``side`` shifted by 90 degrees, with linear phase."""
    from scipy import signal

    kernel = _quadrature(max(8, round(_SHIFT_S * sample_rate)))
    half = len(kernel) // 2
    shifted = signal.oaconvolve(side, kernel, mode="full")[half : half + len(side)]
    return np.asarray(shifted, np.float32)


@cache
def _quadrature(half: int) -> Samples:
    """Hilbert transformer of 2 * ``half`` + 1 taps, with a Blackman window."""
    n = np.arange(-half, half + 1)
    odd = n % 2 != 0
    taps = np.zeros(len(n))
    taps[odd] = 2.0 / (np.pi * n[odd])
    return np.asarray(taps * np.blackman(len(n)), np.float32)


def _power(samples: Samples) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
