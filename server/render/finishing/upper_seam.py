"""The upper band of a new part at its seams: level and colour of the clip on either side.

The network predicts the clip's own upper band too. What the clip really has there, relative to
that prediction, is a property of the recording, and the new part gets it as well. At the seam
itself the power meets that of the clip, and moves to its own within half a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from server.audio.splice import Span
from server.audio.waveform import Waveform
from server.fullband.analysis import HOP, RATE, Array, band_power, stft
from server.fullband.upper_band import LogGain, UpperBand

__all__ = ["gain_at_seams"]

_OUTSIDE_S: Final = 0.75
_INSIDE_S: Final = 0.4
_NEAR_S: Final = 0.25
"""Sound on either side of a seam whose power is to meet."""
_FADE_S: Final = 0.5
_SHORTEST_S: Final = 0.05
_RANGE: Final = (-18.0, 6.0)
"""Limits of the ratio to the prediction, in nepers of power: -78 and 26 dB."""
_STEP: Final = 8.0
"""Limit of what is made up at the seam itself: 35 dB."""
_SILENCE: Final = 1e-13


@dataclass(frozen=True)
class _Seam:
    """One end of a span; gains of the log power of each band."""

    at: int
    relative: Array
    step: Array


def gain_at_seams(excerpt: Waveform, span: Span, upper_band: UpperBand) -> LogGain | None:
    """How the predicted power of ``span`` changes; None where nothing sounds beside it.

    Args:
        excerpt: the span with the clip around it.
        span: the new part.
        upper_band: predicts.
    """
    mono = Waveform.mono(excerpt.downmix(), excerpt.sample_rate).resample(RATE).samples[:, 0]
    scale = RATE / excerpt.sample_rate
    start, end = round(span.start * scale), min(round(span.end * scale), len(mono))
    left = _seam(mono[:end], start, upper_band)
    right = _seam(mono[start:][::-1], len(mono) - end, upper_band)
    if right is not None:
        right = _Seam(end, right.relative, right.step)
    seams = [seam for seam in (left, right) if seam is not None]
    return _between(seams[0], seams[-1], start, end) if seams else None


def _between(left: _Seam, right: _Seam, start: int, end: int) -> LogGain:
    """From the gain on the left to that on the right, with what is made up at each seam."""

    def gain(places: npt.NDArray[np.int64]) -> Array:
        share = np.clip((places - start) / max(1, end - start), 0.0, 1.0)[:, None]
        total = left.relative + (right.relative - left.relative) * share
        for seam in {left.at: left, right.at: right}.values():
            distance = np.minimum(np.abs(places - seam.at) / (_FADE_S * RATE), 1.0)
            total = total + seam.step * (0.5 + 0.5 * np.cos(np.pi * distance))[:, None]
        return np.asarray(total, np.float32)

    return gain


def _seam(samples: Array, at: int, upper_band: UpperBand) -> _Seam | None:
    """The seam at sample ``at``, before which lies the clip; None where too little of it does."""
    first = max(0, at - round(_OUTSIDE_S * RATE))
    if at - first < _SHORTEST_S * RATE:
        return None
    window = np.ascontiguousarray(samples[first : at + round(_INSIDE_S * RATE)])
    predicted = np.exp(upper_band.log_power(window))
    measured = band_power(stft(window))
    edge, near = (at - first) // HOP, round(_NEAR_S * RATE) // HOP
    outside = slice(0, max(1, edge - 1))
    relative = _ratio(measured[outside].sum(axis=0), predicted[outside].sum(axis=0))
    if relative is None:
        return None
    before = measured[max(0, edge - 1 - near) : max(1, edge - 1)].mean(axis=0)
    after = predicted[edge + 1 : edge + 1 + near]
    made = after.mean(axis=0) * np.exp(relative) if len(after) else before
    step = _ratio(before, made)
    limited = np.zeros_like(relative) if step is None else np.clip(step, -_STEP, _STEP)
    return _Seam(at, relative, limited)


def _ratio(wanted: Array, found: Array) -> Array | None:
    """Log of the ratio of two powers of each band, a little smooth; None for silence."""
    if not found.max() > _SILENCE:
        return None
    ratio = np.log((wanted + _SILENCE) / (found + _SILENCE))
    smooth = np.convolve(np.pad(ratio, 1, mode="edge"), np.full(3, 1.0 / 3.0), mode="valid")
    return np.asarray(np.clip(smooth, *_RANGE), np.float32)
