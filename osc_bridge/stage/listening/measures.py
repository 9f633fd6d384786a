"""What the input does: its level, how dense it is, its tempo and the bands that it occupies."""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np

from server.audio.beat import beat_in, onset_strength, onsets_of
from server.audio.waveform import Waveform

__all__ = ["BANDS", "SILENCE_DB", "Heard", "heard_in", "merged", "occupied"]

SILENCE_DB: Final = -60.0
"""An input below this is silent."""
BANDS: Final = tuple(
    (1000.0 * 2.0 ** ((k - 0.5) / 3.0), 1000.0 * 2.0 ** ((k + 0.5) / 3.0)) for k in range(-13, 13)
)
"""Third-octave bands (IEC 61260) from 50 Hz to 16 kHz, lowest and highest frequency of each."""
_SOFTEST_DB: Final = -120.0
_NEAR_DB: Final = 15.0
"""Bands within this of the loudest one are occupied ..."""
_GONE_DB: Final = 21.0
"""... until they are below this."""
_MOST: Final = 12
"""So many bands at most are occupied; the others stay free for what plays."""
_WEAKEST_BEAT: Final = 0.25
"""Onsets that repeat less than this have no beat: rain reaches 0.08, drum loops 0.25 and more."""
_RATE: Final = 16000


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured in the last seconds."""

    level_db: float = _SOFTEST_DB
    """RMS relative to full scale."""
    density: float = 0.0
    """Onsets a second."""
    bpm: float = 0.0
    """0: no beat."""
    bands_db: tuple[float, ...] = (_SOFTEST_DB,) * len(BANDS)
    """The level in each of :data:`BANDS`."""

    @property
    def silent(self) -> bool:
        """Whether nothing came in."""
        return self.level_db < SILENCE_DB


def heard_in(sound: Waveform) -> Heard:
    """Measure ``sound``; takes some ten milliseconds for six seconds."""
    level_db = sound.rms_db
    if level_db < SILENCE_DB:
        return Heard(level_db=level_db)
    mono = sound.downmix()
    strength = onset_strength(sound.resample(_RATE).downmix(), _RATE)
    bpm, beat = beat_in(strength)
    return Heard(
        level_db=level_db,
        density=len(onsets_of(strength, _RATE)) / sound.seconds,
        bpm=bpm if beat >= _WEAKEST_BEAT and not math.isnan(bpm) else 0.0,
        bands_db=_bands_db(mono.astype(np.float64), sound.sample_rate),
    )


def occupied(bands_db: tuple[float, ...], before: frozenset[int] = frozenset()) -> frozenset[int]:
    """The numbers of the bands that are taken; those ``before`` are let go later."""
    loudest = max(bands_db)
    taken = [
        number
        for number, level_db in enumerate(bands_db)
        if level_db > max(SILENCE_DB, loudest - (_GONE_DB if number in before else _NEAR_DB))
    ]
    return frozenset(sorted(taken, key=lambda number: -bands_db[number])[:_MOST])


def merged(bands: frozenset[int]) -> tuple[tuple[float, float], ...]:
    """Lowest and highest frequency of bands, those side by side as one.

    >>> [(round(low), round(high)) for low, high in merged(frozenset({13, 14, 20}))]
    [(891, 1414), (4490, 5657)]
    """
    ranges: list[tuple[float, float]] = []
    for number in sorted(bands):
        low, high = BANDS[number]
        joins = bool(ranges) and number - 1 in bands
        ranges[-1 if joins else len(ranges) :] = [(ranges[-1][0] if joins else low, high)]
    return tuple(ranges)


def _bands_db(mono: np.ndarray, sample_rate: int) -> tuple[float, ...]:
    """The power in each band (Welch's method)."""
    from scipy import signal

    window = min(len(mono), 2 ** round(math.log2(0.2 * sample_rate)))
    hertz, density = signal.welch(mono, sample_rate, nperseg=window)
    spacing = hertz[1] - hertz[0]
    powers = (density[(hertz >= low) & (hertz < high)].sum() * spacing for low, high in BANDS)
    return tuple(max(_SOFTEST_DB, 10.0 * math.log10(max(power, 1e-12))) for power in powers)
