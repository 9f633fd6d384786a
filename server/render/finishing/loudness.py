"""Loudness after ITU-R BS.1770-4, of a whole sound and of its loudest moment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from server.audio.downmix import loudness_channels
from server.audio.waveform import Waveform

if TYPE_CHECKING:
    from pyloudnorm import Meter

__all__ = ["integrated_lufs", "loudest_lufs"]

_BLOCK_S: Final = 0.4
"""Gating block; shorter sounds are repeated to this length."""
_ABSOLUTE_GATE: Final = -70.0
_MOST_CHANNELS: Final = 5
"""What the meter weighs: of more, the front and the first pair of surrounds."""


def integrated_lufs(sound: Waveform) -> float | None:
    """Integrated loudness; None where all of it is below the gate."""
    return _measured(sound, _BLOCK_S)[1]


def loudest_lufs(sound: Waveform, seconds: float) -> float | None:
    """Loudness of the loudest ``seconds``; None for silence."""
    loudest = max(_measured(sound, seconds)[0].blockwise_loudness)
    return float(loudest) if loudest > _ABSOLUTE_GATE else None


def _measured(sound: Waveform, block_s: float) -> tuple[Meter, float | None]:
    """The meter with the loudness of each block, and that of all of them."""
    import pyloudnorm

    samples = sound.samples[:, loudness_channels(sound.channels, sound.speakers)]
    shortest = math.ceil(block_s * sound.sample_rate) + 1
    if len(samples) < shortest:
        samples = np.resize(samples, (shortest, samples.shape[1]))
    meter = pyloudnorm.Meter(sound.sample_rate, block_size=block_s)
    with np.errstate(divide="ignore"):
        loudness = float(meter.integrated_loudness(samples[:, :_MOST_CHANNELS]))
    return meter, loudness if math.isfinite(loudness) else None
