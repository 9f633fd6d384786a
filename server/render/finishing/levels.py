"""The level of a new sound: as loud as others of its kind, or as loud as it is asked for.

Beds and loops are matched in loudness. Hits are matched in true peak, unless their loudest tenth
of a second is loud already. Where peaks are in the way, they are limited, but only so far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from server.audio.waveform import Waveform
from server.render.finishing.limiter import limited_true_peaks, true_peak
from server.render.finishing.loudness import integrated_lufs, loudest_lufs

__all__ = ["BED_LUFS", "HIT_LUFS", "Levelled", "at_loudness", "matched_level"]

BED_LUFS: Final = -18.0
HIT_LUFS: Final = -8.0
"""Loudest tenth of a second of a hit, at most."""
_HIT_BLOCK_S: Final = 0.1
_MATCHED_LIMITING_DB: Final = 4.0
_ASKED_LIMITING_DB: Final = 12.0
"""Peaks may be reduced so far to reach a loudness."""
_REACHED_DB: Final = 0.5
_PASSES: Final = 3


@dataclass(frozen=True)
class Levelled:
    """A sound at its level."""

    sound: Waveform
    gain_db: float
    limited_db: float = 0.0
    """Reduction of its highest peak."""
    warning: str = ""


def matched_level(sound: Waveform, *, hit: bool, ceiling_dbfs: float, circular: bool) -> Levelled:
    """``sound`` at the usual level of its kind."""
    if not sound.peak:
        return Levelled(sound, 0.0)
    if not hit:
        return at_loudness(
            sound, BED_LUFS, ceiling_dbfs, circular=circular, most_db=_MATCHED_LIMITING_DB
        )
    gain_db = ceiling_dbfs - 20.0 * math.log10(true_peak(sound))
    loudness = loudest_lufs(sound, _HIT_BLOCK_S)
    if loudness is not None:
        gain_db = min(gain_db, HIT_LUFS - loudness)
    return Levelled(_amplified(sound, gain_db), gain_db)


def at_loudness(
    sound: Waveform,
    lufs: float,
    ceiling_dbfs: float,
    *,
    circular: bool,
    most_db: float = _ASKED_LIMITING_DB,
) -> Levelled:
    """``sound`` at ``lufs``, its true peaks at most ``ceiling_dbfs``.

    The level is said where ``most_db`` of limiting do not suffice.
    """
    loudness = integrated_lufs(sound)
    if loudness is None:
        return Levelled(sound, 0.0)
    room_db = ceiling_dbfs - 20.0 * math.log10(true_peak(sound))
    limit, most_db = 10.0 ** (ceiling_dbfs / 20.0), room_db + most_db
    wanted_db = lufs - loudness
    for _ in range(_PASSES):
        gain_db = min(wanted_db, most_db)
        levelled, reached = _amplified(sound, gain_db), loudness + gain_db
        if gain_db <= room_db:
            break
        levelled = limited_true_peaks(levelled, limit, circular=circular)
        reached = _loudness(levelled)
        if lufs - reached < _REACHED_DB / 2.0 or gain_db >= most_db:
            break
        wanted_db = gain_db + lufs - reached
    warning = _shortfall(reached, lufs, gain_db - room_db)
    return Levelled(levelled, gain_db, max(0.0, gain_db - room_db), warning)


def _loudness(sound: Waveform) -> float:
    loudness = integrated_lufs(sound)
    return -math.inf if loudness is None else loudness


def _shortfall(reached: float, lufs: float, limited_db: float) -> str:
    """What a sound says that is not as loud as was asked."""
    if reached >= lufs - _REACHED_DB:
        return ""
    return (
        f"loudness is {reached:.1f} LUFS instead of {lufs:.1f}: more would need its peaks to be "
        f"limited by more than {limited_db:.0f} dB"
    )


def _amplified(sound: Waveform, gain_db: float) -> Waveform:
    return sound.with_samples(sound.samples * np.float32(10.0 ** (gain_db / 20.0)))
