"""The upper band from its excitation, its predicted envelope and the share of overtones."""

from __future__ import annotations

from typing import Final

import numpy as np

from server.fullband.analysis import (
    BAND_EDGES_HZ,
    CROSSOVER_HZ,
    N_FFT,
    RATE,
    Array,
    Spectrum,
    band_power,
    inverse_stft,
    stft,
)
from server.fullband.excitation import Excitation

__all__ = ["SOURCE_FLOOR", "bin_weights", "log_gains", "upper_band"]

SOURCE_FLOOR: Final = 1e-13
"""Power below which a source is not raised to the wanted power."""
_RAMP_HZ: Final = 300.0
_TOP_HZ: Final = 20_500.0
_END_HZ: Final = 21_500.0


def upper_band(
    sources: Excitation,
    envelope: Array,
    overtone_share: Array,
    samples: int,
    start_hz: float = CROSSOVER_HZ,
) -> Array:
    """The sound above ``start_hz``, [samples].

    Args:
        sources: noise and overtones, [S] each.
        envelope: natural logarithm of the wanted power, [frames, bands].
        overtone_share: share of the power that the overtones have, 0 to 1, [frames, bands].
        samples: length of the result.
        start_hz: where it begins, at least 7.8 kHz.
    """
    weights, ends = bin_weights(start_hz)
    first = int(np.argmax(ends > 0.0))
    weights, ends = weights[:, first:], ends[first:]
    total: Spectrum | None = None
    for sound, share in zip(sources, (1.0 - overtone_share, overtone_share), strict=True):
        spectrum = stft(sound)
        gains = np.exp(log_gains(band_power(spectrum), envelope, share) @ weights) * ends
        total = spectrum if total is None else total
        shaped = np.multiply(spectrum[:, first:], gains, out=spectrum[:, first:])
        if total is not spectrum:
            total[:, first:] += shaped
    assert total is not None
    total[:, :first] = 0.0
    return inverse_stft(total, samples)


def log_gains(power: Array, envelope: Array, share: Array) -> Array:
    """Logarithm of the factor that gives a source of ``power`` its share of the envelope."""
    wanted = envelope + np.log(np.maximum(share, np.float32(1e-6)))
    gains: Array = 0.5 * (wanted - np.log(power + np.float32(SOURCE_FLOOR)))
    return gains


def bin_weights(start_hz: float = CROSSOVER_HZ) -> tuple[Array, Array]:
    """How gains of bands become gains of bins.

    Returns:
        weights [bands, 513] that interpolate logarithms, and a factor [513] that ends the band.
    """
    hz = np.fft.rfftfreq(N_FFT, 1.0 / RATE)
    centres = (BAND_EDGES_HZ[:-1] + BAND_EDGES_HZ[1:]) / 2.0
    unit = np.eye(len(centres))
    weights = np.stack([np.interp(hz, centres, row) for row in unit])
    rise = np.clip((hz - start_hz) / _RAMP_HZ + 0.5, 0.0, 1.0)
    fall = np.clip((_END_HZ - hz) / (_END_HZ - _TOP_HZ), 0.0, 1.0)
    return weights.astype(np.float32), (rise * fall).astype(np.float32)
