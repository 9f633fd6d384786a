"""The last stage: what leaves is never clipped, and never silent without saying so."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from server.waveform import Waveform

__all__ = ["CEILING_DBFS", "SILENCE_DB", "below_ceiling"]

CEILING_DBFS: Final = -1.0
SILENCE_DB: Final = -60.0


def below_ceiling(sound: Waveform) -> tuple[Waveform, dict[str, Any]]:
    """``sound`` turned down where it would clip, and what was measured on it."""
    ceiling = 10.0 ** (CEILING_DBFS / 20.0)
    gain = min(1.0, ceiling / sound.peak) if sound.peak else 1.0
    if gain < 1.0:
        sound = Waveform(sound.samples * np.float32(gain), sound.sample_rate)
    measures = {
        "peak_dbfs": _decibels(sound.peak),
        "rms_db": round(sound.rms_db, 2),
        "gain_db": _decibels(gain),
        "silent": sound.rms_db < SILENCE_DB,
    }
    return sound, measures


def _decibels(amplitude: float) -> float:
    return round(20.0 * float(np.log10(max(amplitude, 1e-6))), 2)
