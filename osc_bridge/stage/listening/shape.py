"""A sound that leaves bands to others, and stays below a ceiling."""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from server.audio.peaks import limited
from server.audio.waveform import Waveform
from server.errors import InvalidRequest

__all__ = ["MOST_DB", "Shape", "check_level"]

MOST_DB: Final = 0.0
"""The highest level of what keeps a ceiling."""

_TAPS_S: Final = 0.085
"""Length of the filter: a quarter of an octave at 50 Hz."""
_SLOPE: Final = 2.0 ** (1.0 / 6.0)
"""Within so much of the edge of a band its attenuation begins."""
_POINTS: Final = 4097
_MARGIN_DB: Final = 6.5
"""The seam of a loop and the crossfade to the next sound add up to 3 dB each, a change of the
sample rate the rest."""


class Shape(msgspec.Struct, frozen=True):
    """What is done to a sound before it is placed in memory; nothing is left to the callback."""

    bands: tuple[tuple[float, float], ...]
    """Lowest and highest frequency of each band in Hz."""
    depth_db: float
    """Attenuation of the bands."""
    ceiling_db: float
    """Highest peak relative to full scale, of a crossfade too."""

    def of(self, sound: Waveform, *, loops: bool = False) -> Waveform:
        """``sound`` without the bands, below the ceiling; ``loops``: its end meets its start."""
        samples = self._masked(sound, loops) if self.bands else sound.samples
        limit = 10.0 ** (self._limit_db / 20.0)
        return sound.with_samples(limited(samples, limit, sound.sample_rate))

    def room_db(self, sound: Waveform) -> float:
        """The highest gain with which ``sound`` is below the ceiling as it is."""
        return self._limit_db - 20.0 * math.log10(max(sound.peak, 1e-9))

    @property
    def _limit_db(self) -> float:
        return self.ceiling_db - _MARGIN_DB

    def _masked(self, sound: Waveform, loops: bool) -> npt.NDArray[np.float32]:
        from scipy import signal

        taps = 2 * round(0.5 * _TAPS_S * sound.sample_rate) + 1
        reach = ((taps // 2, taps // 2), (0, 0))
        wraps = loops and sound.frames
        padded = np.pad(sound.samples, reach, mode="wrap" if wraps else "constant")
        impulse = self._impulse(taps, sound.sample_rate)
        filtered = signal.oaconvolve(padded.astype(np.float64), impulse[:, None], "valid", axes=0)
        return np.asarray(filtered, np.float32)

    def _impulse(self, taps: int, sample_rate: int) -> npt.NDArray[np.float64]:
        """A filter of linear phase, so that sounds stay in time and joins stay joined."""
        from scipy import signal

        hertz = np.linspace(0.0, sample_rate / 2.0, _POINTS)
        octaves = np.log2(np.maximum(hertz, 1.0))
        attenuation = np.zeros(_POINTS)
        for low, high in self.bands:
            edges = np.log2([low / _SLOPE, low, high, high * _SLOPE])
            attenuation = np.maximum(attenuation, np.interp(octaves, edges, [0.0, 1.0, 1.0, 0.0]))
        gain = 10.0 ** (-abs(self.depth_db) * attenuation / 20.0)
        return np.asarray(signal.firwin2(taps, hertz / (sample_rate / 2.0), gain))


def check_level(gain_db: float, shape: Shape | None) -> None:
    """Check the level of something that a shape keeps below its ceiling.

    Raises:
        InvalidRequest: it is above that of the sound itself.
    """
    if shape and gain_db > MOST_DB:
        raise InvalidRequest(
            f"level must be at most {MOST_DB:g} dB while /ldm/listen keeps its ceiling (got "
            f"{gain_db:g}); /ldm/listen/stop ends that"
        )
