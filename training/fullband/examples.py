"""Training examples: a full-band crop, and the take that a 16 kHz model would have made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.fft

from server.fullband.analysis import (
    BAND_EDGES_HZ,
    POWER_FLOOR,
    RATE,
    Array,
    band_power,
    features,
    level,
    stft,
    typical_log_power,
)
from server.fullband.excitation import octave_of
from training.fullband.bank import FullbandBank

__all__ = ["Batch", "Example", "draw_batch", "example", "plain_example"]

_WALL_MARGIN_HZ: Final = 300.0
_RANGE: Final = 1e-10
"""Power of the floor relative to the strongest bin: what is 100 dB below it counts as silence."""


@dataclass(frozen=True)
class Example:
    """One crop, divided by the level of its take."""

    full: Array
    """All of it, [S]."""
    low: Array
    """Without the upper band, [S]."""
    features: Array
    """[T, features]"""
    reference: Array
    """[T]"""
    target: Array
    """Log of the typical power of each band, at least ``floor``, [T, bands]."""
    power: Array
    """Log of the mean power of each band, at least ``floor``, [T, bands]."""
    known: Array
    """1 for bands below the clip's wall, [bands]."""
    wall_hz: float
    floor: float


@dataclass(frozen=True)
class Batch:
    """Examples side by side."""

    examples: list[Example]

    def stacked(self, name: str) -> Array:
        """One field of all examples, [B, ...]."""
        return np.stack([getattr(one, name) for one in self.examples]).astype(np.float32)


def draw_batch(
    bank: FullbandBank, size: int, samples: int, generator: np.random.Generator
) -> Batch:
    """``size`` training examples; some are two clips at once."""
    return Batch([_drawn(bank, samples, generator) for _ in range(size)])


def plain_example(full: Array, wall_hz: float) -> Example:
    """An example without augmentation, for evaluation."""
    return example(full, wall_hz, _lowpass(len(full), 7_900.0, 200.0))


def example(full: Array, wall_hz: float, lowpass: Array, head_room: float = 1.0) -> Example:
    """The example of a crop [S].

    Args:
        full: the crop at 48 kHz.
        wall_hz: nothing above it is real.
        lowpass: response [S / 2 + 1] of the filter that a 16 kHz model stands for.
        head_room: how much louder the take is elsewhere.
    """
    low = scipy.fft.irfft(scipy.fft.rfft(full) * lowpass, len(full))
    scale = np.float32(max(level(low) * head_room, 1e-6))
    full, low = full / scale, low / scale
    spectrum = stft(full)
    strongest = float((np.square(spectrum.real) + np.square(spectrum.imag)).max())
    floor = float(np.log(max(strongest * _RANGE, POWER_FLOOR)))
    frame_features, reference = features(low, octave_of(low))
    power = np.log(band_power(spectrum) + np.float32(POWER_FLOOR))
    typical = typical_log_power(spectrum)
    known = BAND_EDGES_HZ[1:] <= wall_hz - _WALL_MARGIN_HZ
    return Example(
        full=full,
        low=low,
        features=frame_features,
        reference=reference,
        target=np.maximum(typical, np.float32(floor)),
        power=np.maximum(power, np.float32(floor)),
        known=known.astype(np.float32),
        wall_hz=wall_hz,
        floor=floor,
    )


def _drawn(bank: FullbandBank, samples: int, generator: np.random.Generator) -> Example:
    clip = bank.draw(generator)
    full, wall = bank.crop(clip, samples, generator), clip.wall_hz
    if generator.random() < 0.25:
        other = bank.draw(generator)
        share = np.float32(10.0 ** (generator.uniform(-15.0, 3.0) / 20.0))
        full = full + share * bank.crop(other, samples, generator)
        wall = min(wall, other.wall_hz)
    if generator.random() < 0.5:
        full = _tilted(full, generator)
    cutoff = 7_900.0 if generator.random() < 0.6 else generator.uniform(7_000.0, 8_000.0)
    lowpass = _lowpass(samples, cutoff, generator.uniform(100.0, 500.0))
    return example(full, wall, lowpass, 10.0 ** (generator.uniform(0.0, 0.5) ** 2))


def _lowpass(samples: int, cutoff_hz: float, width_hz: float) -> Array:
    hz = scipy.fft.rfftfreq(samples, 1.0 / RATE)
    place = np.clip((hz - cutoff_hz) / width_hz + 0.5, 0.0, 1.0)
    return (0.5 + 0.5 * np.cos(np.pi * place)).astype(np.float32)


def _tilted(full: Array, generator: np.random.Generator) -> Array:
    """``full`` through a gentle tilt of the spectrum, up to 1 dB an octave."""
    hz = np.maximum(scipy.fft.rfftfreq(len(full), 1.0 / RATE), 50.0)
    decibels = generator.uniform(-1.0, 1.0) * np.log2(hz / 1_000.0)
    response = (10.0 ** (decibels / 20.0)).astype(np.float32)
    tilted: Array = scipy.fft.irfft(scipy.fft.rfft(full) * response, len(full))
    return tilted
