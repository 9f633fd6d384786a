"""Loudness after ITU-R BS.1770-4, of a whole sound and of its loudest moment."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from server.audio.convolution import convolved, impulse_response
from server.audio.downmix import loudness_channels
from server.audio.waveform import Samples, Waveform

__all__ = ["integrated_lufs", "loudest_lufs"]

_BLOCK_S: Final = 0.4
"""Gating block; shorter sounds are repeated to this length."""
_OVERLAP: Final = 4
_ABSOLUTE_GATE: Final = -70.0
_RELATIVE_GATE: Final = -10.0
_SURROUND_GAIN: Final = 1.41
_FRONT: Final = 3
_KERNEL_S: Final = 0.2
Response = npt.NDArray[np.complex128]
Coefficients = tuple[float, float, float]
Powers = npt.NDArray[np.float64]


def integrated_lufs(sound: Waveform) -> float | None:
    """Integrated loudness; None where all of it is below the gate."""
    power = _block_power(sound, _BLOCK_S)
    gated = power[_lufs(power) > _ABSOLUTE_GATE]
    if not len(gated):
        return None
    relative = _lufs(gated.mean()) + _RELATIVE_GATE
    return float(_lufs(gated[_lufs(gated) > relative].mean()))


def loudest_lufs(sound: Waveform, seconds: float) -> float | None:
    """Loudness of the loudest ``seconds``; None for silence."""
    loudest = float(_lufs(_block_power(sound, seconds).max(initial=0.0)))
    return loudest if loudest > _ABSOLUTE_GATE else None


def _block_power(sound: Waveform, seconds: float) -> Powers:
    """Weighted power of overlapping blocks, over all channels."""
    rate = sound.sample_rate
    samples = sound.samples[:, loudness_channels(sound.channels, sound.speakers)]
    step = max(1, round(seconds * rate / _OVERLAP))
    if len(samples) < _OVERLAP * step:
        samples = np.resize(samples, (_OVERLAP * step, samples.shape[1]))
    total = np.zeros(len(samples) // step)
    for number, channel in enumerate(samples.T):
        weighted = convolved(np.ascontiguousarray(channel), _k_weighting(rate))
        blocks = weighted[: len(total) * step].reshape(-1, step)
        gain = 1.0 if number < _FRONT else _SURROUND_GAIN
        total += gain * np.mean(np.square(blocks, dtype=np.float64), axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(total, _OVERLAP)
    return np.asarray(windows.mean(axis=1))


def _lufs(power: Powers | float) -> Powers:
    return np.asarray(-0.691 + 10.0 * np.log10(np.maximum(power, 1e-15)))


@lru_cache(maxsize=4)
def _k_weighting(sample_rate: int) -> Samples:
    """The two filters of BS.1770, annex 1: a shelf for the head and a high-pass."""
    half = round(_KERNEL_S * sample_rate / 2)
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(2 * half))
    shelf = _biquad(z, *_shelf(sample_rate))
    return impulse_response(shelf * _biquad(z, *_high_pass(sample_rate)))


def _biquad(z: Response, b: Coefficients, a: Coefficients) -> Response:
    return (b[0] + b[1] * z + b[2] * z * z) / (a[0] + a[1] * z + a[2] * z * z)


def _shelf(sample_rate: int) -> tuple[Coefficients, Coefficients]:
    """High shelf of 4 dB, whose coefficients at 48 kHz are those of the recommendation."""
    k = math.tan(math.pi * 1681.974450955533 / sample_rate)
    q, high = 0.7071752369554196, 10.0 ** (3.999843853973347 / 20.0)
    middle = high**0.4996667741545416
    b = (high + middle * k / q + k * k, 2.0 * (k * k - high), high - middle * k / q + k * k)
    return b, (1.0 + k / q + k * k, 2.0 * (k * k - 1.0), 1.0 - k / q + k * k)


def _high_pass(sample_rate: int) -> tuple[Coefficients, Coefficients]:
    k, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    a0 = 1.0 + k / q + k * k
    return (a0, -2.0 * a0, a0), (a0, 2.0 * (k * k - 1.0), 1.0 - k / q + k * k)
