"""Measures of a take as its file holds it: peak, level, silence, stereo."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from server.audio.encoding import stored
from server.audio.interruption import pieces
from server.audio.splice import Span, band_of
from server.audio.waveform import FileFormat, Samples, Waveform
from server.render.plan import Finished

__all__ = ["ADDED_NOTHING_DB", "SILENCE_DB", "is_silent", "measures_of"]

SILENCE_DB: Final = -60.0
"""Level below which a new part counts as silent, in dBFS."""
_BELOW_DB: Final = 24.0
"""So far below the clip around it, even the loudest moment of a new part is not heard."""
_NOTHING_DB: Final = -90.0
"""Level from which the clip around a new part counts as sound."""
ADDED_NOTHING_DB: Final = -60.0
"""A new band at this level, relative to its clip, is not heard."""
_MOMENT_S: Final = 0.4
_COARSE_DB: Final = -40.0
"""Level below which the steps of a format of few bits are measured too."""
_LOWEST_DB: Final = -120.0


def measures_of(sound: Waveform, finished: Finished, file_format: FileFormat) -> dict[str, Any]:
    """Measure ``sound``, and the new parts in it that ``finished`` names.

    Returns:
        ``peak_dbfs``, ``rms_db``, ``new_rms_db`` (of the softest new part), ``silent`` (a new
        part is), and for stereo ``stereo_correlation`` and ``mono_sum_db``.
    """
    parts = [Span(0, sound.frames)] if finished.new is None else list(finished.new)
    heard = [_heard(sound, part, file_format, finished.around_db) for part in parts]
    softest = min((level_db for level_db, _ in heard), default=sound.rms_db)
    measures: dict[str, Any] = {
        "peak_dbfs": _decibels(sound.peak),
        "rms_db": round(sound.rms_db, 2),
        "new_rms_db": round(softest, 2),
        "silent": any(silent for _, silent in heard) if parts else softest < SILENCE_DB,
    }
    if sound.channels == 2:
        measures.update(_stereo(sound))
    return measures


def _part(sound: Waveform, part: Span) -> Samples:
    """The samples of a new part, or of its band."""
    samples = sound.samples[part.start : part.end]
    if part.whole_band:
        return samples
    return band_of(samples, sound.sample_rate, part.low_hz or 0.0, part.high_hz or math.inf)


def is_silent(
    sound: Waveform, part: Span, file_format: FileFormat, around_db: float | None
) -> bool:
    """True where a new part of ``sound`` cannot be heard.

    Args:
        sound: all of the take.
        part: the new part, of which nothing but its band is heard.
        file_format: in which it is stored.
        around_db: level of the clip around it, in dBFS.
    """
    return _heard(sound, part, file_format, around_db)[1]


def _heard(
    sound: Waveform, part: Span, file_format: FileFormat, around_db: float | None
) -> tuple[float, bool]:
    """The level of a new part in dBFS, and whether it cannot be heard."""
    samples = _part(sound, part)
    level_db = _level_db(samples, file_format)
    if not part.whole_band:
        below = SILENCE_DB if around_db is None else around_db + ADDED_NOTHING_DB
        return level_db, level_db < min(SILENCE_DB, below)
    if level_db < _floor_db(around_db):
        return level_db, True
    if around_db is None or level_db > around_db - _BELOW_DB:
        return level_db, False
    return level_db, _loudest_db(samples, sound.sample_rate) < around_db - _BELOW_DB


def _floor_db(around_db: float | None) -> float:
    """Level below which a new part is silent; lower where the clip itself is that soft."""
    if around_db is None or not _NOTHING_DB < around_db < SILENCE_DB:
        return SILENCE_DB
    return around_db - _BELOW_DB


def _level_db(samples: Samples, file_format: FileFormat) -> float:
    """RMS level in dBFS as the format stores it."""
    level = _rms_db(samples)
    return level if level > _COARSE_DB else _rms_db(stored(samples, file_format))


def _loudest_db(samples: Samples, sample_rate: int) -> float:
    """RMS level of the loudest moment."""
    length = max(1, min(len(samples), round(_MOMENT_S * sample_rate)))
    moments = (samples[at : at + length] for at in range(0, len(samples), length))
    return max((_rms_db(moment) for moment in moments), default=_LOWEST_DB)


def _rms_db(samples: Any) -> float:
    power = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
    return max(_LOWEST_DB, 10.0 * math.log10(max(power, 1e-12)))


def _stereo(sound: Waveform) -> dict[str, Any]:
    """Correlation of left and right, and the change in level when they are summed to mono."""
    # Sums of left and right with themselves and with each other.
    products = sum((part.T @ part for part in _float64_pieces(sound)), np.zeros((2, 2)))
    left, right, crossed = (float(products[at]) for at in ((0, 0), (1, 1), (0, 1)))
    power = (left + right) / 2.0
    if not power:
        return {}
    both = math.sqrt(left * right)
    mono = (left + right + 2.0 * crossed) / 4.0
    correlation = crossed / both if both else 0.0
    return {
        "stereo_correlation": round(correlation, 4),
        "mono_sum_db": round(10.0 * math.log10(max(mono / power, 1e-12)), 2),
    }


def _decibels(amplitude: float) -> float:
    return round(20.0 * math.log10(max(amplitude, 1e-6)), 2)


def _float64_pieces(sound: Waveform) -> Iterator[Any]:
    return (part.astype(np.float64) for part in pieces(sound.samples))
