"""Levels of new sound matched to the clip around it.

A model may continue louder, duller or brighter than the clip was.

- :func:`level_matched` starts each third of an octave at the clip's level beside the edge and
  fades that correction out within a third of a second.
- :func:`spectrum_matched` gives the whole span the clip's long-term spectrum. It serves edits
  that have no prompt.

Both correct less the more the clip's level moves: beside attacks a jump in level is expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.audio.splice import Span, filtered
from server.audio.waveform import Samples, Waveform

__all__ = ["level_matched", "spectrum_matched"]

_MEASURE_S: Final = 0.12
"""Length of the sound on either side of an edge that is compared."""
_FADE_S: Final = 0.35
"""How long the correction takes to fade out."""
_FRAME_S: Final = 0.024
_MAX_GAIN_DB: Final = 24.0
_MAX_SPECTRUM_GAIN_DB: Final = 12.0
_MAX_LEVEL_RATIO: Final = 1.2
"""Largest ratio of the new sound's loud places to the clip's."""
_UNSTEADY_DB: Final = 10.0
"""Standard deviation of the level beside a span from which nothing is corrected."""
_SILENCE: Final = 1e-9
Spectrum = npt.NDArray[np.float64]


def spectrum_matched(new: Waveform, clip: Waveform, span: Span, spans: Sequence[Span]) -> Waveform:
    """Give ``new`` in ``span`` the long-term spectrum that ``clip`` has outside ``spans``.

    The correction is at most 12 dB a band. The result is at most 1.2 times as loud as the loud
    places of the clip.
    """
    rate, length = clip.sample_rate, _frame(clip.sample_rate)
    kept = np.ones(clip.frames, bool)
    for other in spans:
        kept[other.start : other.end] = False
    if min(int(kept.sum()), span.end - span.start) < 2 * length:
        return new
    channels = []
    for old, made in zip(clip.samples.T, new.samples.T, strict=True):
        outside = np.ascontiguousarray(old[kept])
        gain_db = _gain_db(outside, made[span.start : span.end], length)
        gain_db = _steadiness(outside, length) * np.clip(
            gain_db, -_MAX_SPECTRUM_GAIN_DB, _MAX_SPECTRUM_GAIN_DB
        )
        channels.append(filtered(np.ascontiguousarray(made), 10.0 ** (gain_db / 20.0)))
    made = np.stack(channels, axis=1)
    room = (
        _MAX_LEVEL_RATIO
        * _loud(clip.samples[kept], rate)
        / _loud(made[span.start : span.end], rate)
    )
    return clip.with_samples(np.ascontiguousarray(made * min(1.0, room), np.float32))


def _loud(samples: Samples, rate: int) -> float:
    """The 90th percentile of the level of all 0.1 s blocks, as an amplitude."""
    length = min(len(samples), max(1, round(0.1 * rate)))
    blocks = samples[: len(samples) // length * length].reshape(-1, length * samples.shape[1])
    levels = np.sqrt(np.square(blocks, dtype=np.float64).mean(axis=1))
    return float(np.percentile(levels, 90)) + 1e-9


def level_matched(new: Waveform, clip: Waveform, edge: int, inside: int) -> Waveform:
    """Start ``new`` at the level of ``clip`` beside an edge of a span.

    Args:
        new: the rendered sound, as long as the clip.
        clip: the original, which is kept outside the span.
        edge: first or last sample of the span.
        inside: A sample inside the span; it says on which side of the edge the span lies.
    """
    rate = clip.sample_rate
    reach = min(round(_FADE_S * rate), abs(inside - edge))
    measured = min(round(_MEASURE_S * rate), reach)
    length = _frame(rate)
    if measured < length:
        return new
    forward = inside > edge
    # Time is reversed where the span lies before the edge, so that it always lies after it.
    direction = slice(None) if forward else slice(None, None, -1)
    at = edge if forward else clip.frames - edge
    old, made = clip.samples[direction], new.samples[direction]
    if at < length:
        return new
    result = made.copy()
    for channel in range(clip.channels):
        outside = old[max(0, at - measured) : at, channel]
        gain = _gain_db(outside, made[at : at + measured, channel], length)
        gain *= _steadiness(old[max(0, at - 4 * measured) : at, channel], length)
        part = slice(max(0, at - length * 2), at + reach)
        result[part, channel] = _shaped(made[part, channel], at - part.start, reach, gain, length)
    return clip.with_samples(np.ascontiguousarray(result[direction]))


def _frame(sample_rate: int) -> int:
    return max(16, round(_FRAME_S * sample_rate / 2) * 2)


def _gain_db(outside: Samples, inside: Samples, length: int) -> Spectrum:
    """Gain of each bin from the level inside to that outside, smooth over a third of an octave."""
    theirs, ours = _smooth(_power(outside, length)), _smooth(_power(inside, length))
    if theirs.max() < _SILENCE or ours.max() < _SILENCE:
        return np.zeros(len(theirs))
    floor = 1e-6 * max(float(theirs.max()), float(ours.max()))
    gain = 10.0 * np.log10((theirs + floor) / (ours + floor))
    return np.asarray(np.clip(gain, -_MAX_GAIN_DB, _MAX_GAIN_DB), np.float64)


def _steadiness(outside: Samples, length: int) -> float:
    """1 where the level is constant, falling to 0 where its standard deviation is 10 dB."""
    count = len(outside) // length
    if count < 2:
        return 0.0
    blocks = np.square(outside[-count * length :].astype(np.float64)).reshape(count, length)
    level = 10.0 * np.log10(blocks.mean(axis=1) + 1e-10)
    return max(0.0, 1.0 - float(level.std()) / _UNSTEADY_DB)


def _shaped(part: Samples, at: int, reach: int, gain_db: Spectrum, length: int) -> Samples:
    """Apply ``gain_db`` up to sample ``at``, then fade it out over ``reach`` samples."""
    hop = length // 2
    window = np.sqrt(np.hanning(length + 1)[:-1])
    padded = np.pad(part.astype(np.float64), length)
    total = np.zeros(len(padded))
    for start in range(0, len(padded) - length + 1, hop):
        place = start + hop - length - at
        share = 0.5 + 0.5 * np.cos(np.pi * min(1.0, max(0.0, place / reach)))
        spectrum = np.fft.rfft(padded[start : start + length] * window)
        factor = 10.0 ** (share * gain_db / 20.0)
        total[start : start + length] += np.fft.irfft(spectrum * factor, length) * window
    return np.asarray(total[length:-length], np.float32)


def _power(samples: Samples, length: int) -> Spectrum:
    hop = length // 2
    window = np.hanning(length)
    starts = range(0, max(1, len(samples) - length + 1), hop)
    frames = [np.pad(samples[s : s + length], (0, max(0, length - len(samples)))) for s in starts]
    power = [np.square(np.abs(np.fft.rfft(frame * window))) for frame in frames]
    return np.asarray(np.mean(power, axis=0), np.float64)


def _smooth(power: Spectrum) -> Spectrum:
    bins: Any = np.arange(len(power))
    low = np.floor(bins * 0.89).astype(int)
    high = np.maximum(np.ceil(bins * 1.12).astype(int), low + 1)
    sums = np.concatenate([[0.0], np.cumsum(power)])
    high = np.minimum(high + 1, len(power))
    return np.asarray((sums[high] - sums[low]) / (high - low), np.float64)
