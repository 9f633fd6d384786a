"""How near a widened take is to the recording: log spectra, levels, and statistics of both.

Spectra have n_fft 2048 and hop 512. Powers are logarithms to base 10, floored 100 dB below the
strongest bin of the recording. Nothing above the wall of a clip is compared.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.fullband.analysis import RATE, Array

__all__ = ["BANDS_HZ", "compare", "frechet", "low_snr_db", "mean_cosine", "spectral_statistics"]

N_FFT: Final = 2048
HOP: Final = 512
BANDS_HZ: Final = {
    "all": (0.0, 20_000.0),
    "8_16": (8_000.0, 16_000.0),
    "16_20": (16_000.0, 20_000.0),
}
LEVELS_HZ: Final = {
    "8_12": (8_000.0, 12_000.0),
    "12_16": (12_000.0, 16_000.0),
    "16_20": (16_000.0, 20_000.0),
}
_HZ: Final = np.fft.rfftfreq(N_FFT, 1.0 / RATE)
_RANGE: Final = 1e-10
_STATISTICS_EDGES_HZ: Final = np.concatenate(
    (np.geomspace(100.0, 6_000.0, 17), np.linspace(7_000.0, 20_000.0, 27))
)
Vector = npt.NDArray[np.float64]


def compare(made: Array, real: Array, wall_hz: float) -> dict[str, float]:
    """LSD of three bands, level errors (dB) of three bands and the excess of 8-16 kHz (dB).

    A measure of a band that reaches above ``wall_hz`` is missing, except that of all bands.
    """
    ours, theirs = _power(made), _power(real)
    floor = max(float(theirs.max()) * _RANGE, 1e-20)
    distance = np.square(np.log10(np.maximum(ours, floor) / np.maximum(theirs, floor)))
    found: dict[str, float] = {}
    for name, (low, high) in BANDS_HZ.items():
        bins = (low <= _HZ) & (min(high, wall_hz) > _HZ)
        if high <= wall_hz or name == "all":
            found[f"lsd_{name}"] = float(np.sqrt(distance[:, bins].mean(axis=1)).mean())
    for name, (low, high) in LEVELS_HZ.items():
        if high <= wall_hz:
            found[f"level_{name}"] = abs(_excess_db(ours, theirs, low, high, floor))
    if wall_hz >= BANDS_HZ["8_16"][1]:
        found["excess_8_16"] = _excess_db(ours, theirs, *BANDS_HZ["8_16"], floor)
    return found


def low_snr_db(made: Array, real: Array, top_hz: float = 7_000.0) -> float:
    """Signal to error below ``top_hz``."""
    bins = np.fft.rfftfreq(len(real), 1.0 / RATE) < top_hz
    ours, theirs = np.fft.rfft(made)[bins], np.fft.rfft(real)[bins]
    error = float(np.sum(np.square(np.abs(ours - theirs)))) + 1e-20
    return 10.0 * float(np.log10(float(np.sum(np.square(np.abs(theirs)))) / error + 1e-20))


def spectral_statistics(sound: Array) -> Vector:
    """Mean, spread and mean change over time of 42 band levels in dB, [126].

    Bands are relative to the mean level of the clip below 6 kHz.
    """
    power = np.add.reduceat(_power(sound), np.searchsorted(_HZ, _STATISTICS_EDGES_HZ), axis=1)
    power = power[:, :-1]
    floor = max(float(power.max()), 1e-12) * 1e-8
    level = 10.0 * np.log10(np.maximum(power, floor))
    level -= 10.0 * np.log10(max(float(power[:, :16].mean()), floor))
    change = np.abs(np.diff(level, axis=0)).mean(axis=0) if len(level) > 1 else 0.0 * level[0]
    return np.concatenate((level.mean(axis=0), level.std(axis=0), change))


def frechet(ours: Vector, theirs: Vector) -> float:
    """Frechet distance of two sets of statistics [clips, D], divided by D."""
    import scipy.linalg

    a, b = np.cov(ours, rowvar=False), np.cov(theirs, rowvar=False)
    root: Any = scipy.linalg.sqrtm(a @ b + 1e-6 * np.eye(len(a)))
    shift = float(np.square(ours.mean(axis=0) - theirs.mean(axis=0)).sum())
    trace = float(np.trace(a) + np.trace(b) - 2.0 * np.trace(np.real(root)))
    return (shift + trace) / len(a)


def mean_cosine(ours: Vector, theirs: Vector) -> float:
    """Mean cosine of pairs of statistics, standardised over the recordings."""
    mean, spread = theirs.mean(axis=0), theirs.std(axis=0) + 1e-6
    a, b = (ours - mean) / spread, (theirs - mean) / spread
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean(np.sum(a * b, axis=1) / np.maximum(norms, 1e-9)))


def _power(sound: Array) -> Vector:
    padded = np.pad(sound.astype(np.float64), (N_FFT // 2, N_FFT))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    frames = frames[: len(sound) // HOP + 1]
    return np.square(np.abs(np.fft.rfft(frames * np.hanning(N_FFT + 1)[:-1], axis=1)))


def _excess_db(ours: Vector, theirs: Vector, low: float, high: float, floor: float) -> float:
    bins = (low <= _HZ) & (high > _HZ)
    a, b = (max(float(power[:, bins].mean()), floor) for power in (ours, theirs))
    return 10.0 * float(np.log10(a / b))
