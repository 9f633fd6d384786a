"""Sounds with a known truth: hits, whose edge must stay sharp, and tones, whose grid goes on."""

from __future__ import annotations

from typing import Final

import numpy as np

from server.fullband.analysis import RATE, Array
from training.fullband.systems import System, as_model_would

__all__ = ["harmonic_share", "onset_probe"]

_SPLIT_HZ: Final = 8_200.0
_ONSET_DB: Final = -20.0
_GRID_HZ: Final = 30.0
_GRID_BAND_HZ: Final = (8_000.0, 12_000.0)
_NOTES_HZ: Final = (110.0, 220.0, 440.0, 880.0)


def onset_probe(system: System) -> dict[str, float]:
    """Distance of the onsets of both bands (ms), and what sounds 5 ms before (dB of the peak)."""
    distances, echoes = [], []
    for number in range(8):
        hit, at = _hit(number)
        made = system(as_model_would(hit))
        low, high = _split(made)
        distances.append(abs(_onset(high) - _onset(low)) * 1e3 / RATE)
        before = np.abs(high[at - 480 : at - 240]).max(initial=0.0)
        echoes.append(20.0 * np.log10(max(before, 1e-9) / max(np.abs(high).max(), 1e-9)))
    return {"onset_ms": float(np.max(distances)), "pre_echo_db": float(np.max(echoes))}


def harmonic_share(system: System) -> dict[str, float]:
    """Share of the energy in 8-12 kHz that lies within 30 Hz of multiples of a saw's pitch."""
    shares = []
    for f0 in _NOTES_HZ:
        made = system(as_model_would(_saw(f0)))[RATE // 2 : -RATE // 4]
        power = np.square(np.abs(np.fft.rfft(made * np.hanning(len(made)))))
        hz = np.fft.rfftfreq(len(made), 1.0 / RATE)
        band = (hz >= _GRID_BAND_HZ[0]) & (hz < _GRID_BAND_HZ[1])
        near = np.abs(hz - np.round(hz / f0) * f0) <= _GRID_HZ
        shares.append(power[band & near].sum() / max(power[band].sum(), 1e-20))
    return {"harmonic_share": float(np.mean(shares))}


def _hit(number: int) -> tuple[Array, int]:
    """Noise that begins at once and decays, in silence; and the sample at which it begins."""
    generator = np.random.default_rng(number)
    at = RATE // 4 + 37 * number
    time = np.arange(RATE - at) / RATE
    sound = np.zeros(RATE, np.float32)
    burst = generator.standard_normal(len(time)) * np.exp(-time / generator.uniform(0.005, 0.1))
    sound[at:] = 0.3 * burst
    return sound, at


def _saw(f0: float) -> Array:
    time = np.arange(2 * RATE) / RATE
    partials = [np.sin(2.0 * np.pi * k * f0 * time) / k for k in range(1, int(20_000 / f0))]
    return (0.2 * np.sum(partials, axis=0)).astype(np.float32)


def _split(sound: Array) -> tuple[Array, Array]:
    """Below and above 8.2 kHz, by a filter too short to blur an onset by a millisecond."""
    taps = 129
    steps = np.arange(taps) - taps // 2
    kernel = 2.0 * _SPLIT_HZ / RATE * np.sinc(2.0 * _SPLIT_HZ / RATE * steps) * np.blackman(taps)
    low = np.convolve(sound, kernel, mode="same").astype(np.float32)
    return low, sound - low


def _onset(sound: Array) -> int:
    """First sample within 20 dB of the peak."""
    level = np.abs(sound)
    return int(np.argmax(level > level.max() * 10.0 ** (_ONSET_DB / 20.0)))
