"""DC and what lies below hearing are removed from new sounds."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from server.audio.convolution import convolved, impulse_response
from server.audio.waveform import Samples, Waveform

__all__ = ["without_rumble"]

_CORNER_HZ: Final = 22.0
_ORDER: Final = 4
_KERNEL_S: Final = 0.4
"""The tail is 100 dB down after 0.25 s."""


def without_rumble(sound: Waveform, *, circular: bool = False) -> Waveform:
    """``sound`` through a Butterworth high-pass of minimum phase: it has no pre-echo."""
    if not sound.frames:
        return sound
    kernel = _kernel(sound.sample_rate)
    channels = [
        convolved(np.ascontiguousarray(channel), kernel, circular=circular)
        for channel in sound.samples.T
    ]
    return sound.with_samples(np.ascontiguousarray(np.stack(channels, axis=1)))


@lru_cache(maxsize=4)
def _kernel(sample_rate: int) -> Samples:
    """Impulse response of the analogue filter; its poles lie on the Butterworth circle."""
    half = round(_KERNEL_S * sample_rate / 2)
    s = 1j * np.fft.rfftfreq(2 * half, 1.0 / sample_rate) / _CORNER_HZ
    angles = np.pi * (2.0 * np.arange(_ORDER) + _ORDER + 1.0) / (2.0 * _ORDER)
    response = np.ones(len(s), np.complex128)
    for pole in np.exp(1j * angles):
        response *= s / (s - pole)
    return impulse_response(response)
