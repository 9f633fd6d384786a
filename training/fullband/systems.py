"""Ways to widen a take that are compared: resampling, spectral folding, and the model folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from server.audio.waveform import Waveform
from server.fullband.analysis import RATE, Array
from server.fullband.upper_band import UpperBand

__all__ = ["System", "as_model_would", "systems"]

MODEL_RATE: Final = 16_000
Wide = npt.NDArray[np.float64]
System = Callable[[Array], Array]
"""From a take at 16 kHz to one at 48 kHz."""
_SLOPE_BANDS: Final = np.linspace(2_000.0, 7_500.0, 23)


def systems(folder: Path) -> dict[str, System]:
    """All systems by name; the last one is ``folder``."""
    upper_band = UpperBand(folder)

    def air(take: Array) -> Array:
        low = resampled(take)
        return low + upper_band.of(Waveform.mono(low, RATE), seed=0).samples[:, 0]

    return {"resampling": resampled, "folding": folded, folder.name: air}


def as_model_would(full: Array) -> Array:
    """A recording at 48 kHz as a take of a 16 kHz model."""
    take: Array = soxr.resample(full, RATE, MODEL_RATE, quality="VHQ").astype(np.float32)
    return take


def resampled(take: Array) -> Array:
    """Nothing above 8 kHz."""
    return Waveform.mono(take, MODEL_RATE).resample(RATE).samples[:, 0]


def folded(take: Array) -> Array:
    """4-8 kHz mirrored at 8 kHz, again at 12 and 16 kHz, under a slope fitted to 2-7.5 kHz."""
    low = resampled(take)
    spectrum = np.fft.rfft(low)
    hz: Wide = np.asarray(np.fft.rfftfreq(len(low), 1.0 / RATE), np.float64)
    mirrored = 4_000.0 + np.abs((hz - 4_000.0) % 8_000.0 - 4_000.0)
    mirrored = 12_000.0 - mirrored
    source = np.clip(np.round(mirrored * len(low) / RATE).astype(int), 0, len(hz) - 1)
    slope_db = min(0.0, _slope_db(np.square(np.abs(spectrum)), hz))
    gain_db = slope_db * np.log2(np.maximum(hz, 1.0) / mirrored)
    upper = np.where(hz > 7_900.0, spectrum[source] * 10.0 ** (gain_db / 20.0), 0.0)
    return low + np.fft.irfft(upper, len(low)).astype(np.float32)


def _slope_db(power: Wide, hz: Wide) -> float:
    """Slope of the spectrum in dB an octave."""
    places = np.searchsorted(hz, _SLOPE_BANDS)
    level: Wide = np.add.reduceat(power, places)[:-1] / np.diff(places) + 1e-12
    centres = (_SLOPE_BANDS[:-1] + _SLOPE_BANDS[1:]) / 2.0
    return float(np.polyfit(np.log2(centres), 10.0 * np.log10(level), 1)[0])
