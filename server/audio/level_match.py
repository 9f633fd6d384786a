"""New sound at the level of its surroundings.

A model may go on louder, duller or brighter than the clip was. Where the clip is steady beside
a span, each third of an octave of the new sound starts at the clip's own level there and comes
to its own within a third of a second (:func:`eased`); where nothing but the clip says what it
should sound like, it keeps the clip's spectrum all along (:func:`akin`). Where the clip is full
of attacks, nothing is done: a jump in level is then what one expects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.audio.splice import Span, filtered
from server.audio.waveform import Samples, Waveform

__all__ = ["akin", "eased"]

_LISTEN_S: Final = 0.12
_EASE_S: Final = 0.35
_FRAME_S: Final = 0.024
_MOST_DB: Final = 24.0
_AKIN_DB: Final = 12.0
_LOUDER: Final = 1.2
_UNSTEADY_DB: Final = 10.0
"""Standard deviation of the level beside a span at which nothing is eased."""
_SILENCE: Final = 1e-9
Spectrum = npt.NDArray[np.float64]


def akin(new: Waveform, clip: Waveform, span: Span, spans: Sequence[Span]) -> Waveform:
    """``new`` with the long-term spectrum in ``span`` that ``clip`` has outside ``spans``.

    A correction of at most a dozen decibels a band, the less the more the clip's level moves;
    not louder than the clip at its loud places.
    """
    rate, length = clip.sample_rate, _frame(clip.sample_rate)
    kept = np.ones(clip.frames, bool)
    for other in spans:
        kept[other.start : other.end] = False
    if min(int(kept.sum()), span.end - span.start) < 2 * length:
        return new
    lanes = []
    for old, made in zip(clip.samples.T, new.samples.T, strict=True):
        outside = np.ascontiguousarray(old[kept])
        gain_db = _gain_db(outside, made[span.start : span.end], length)
        gain_db = _steadiness(outside, length) * np.clip(gain_db, -_AKIN_DB, _AKIN_DB)
        lanes.append(filtered(np.ascontiguousarray(made), 10.0 ** (gain_db / 20.0)))
    made = np.stack(lanes, axis=1)
    # Whatever moves in the clip, what goes on like it is not louder than its loud places.
    room = _LOUDER * _loud(clip.samples[kept], rate) / _loud(made[span.start : span.end], rate)
    return Waveform(np.ascontiguousarray(made * min(1.0, room), np.float32), rate)


def _loud(samples: Samples, rate: int) -> float:
    """The level that nine tenths of all tenths of a second stay below, as an amplitude."""
    length = min(len(samples), max(1, round(0.1 * rate)))
    blocks = samples[: len(samples) // length * length].reshape(-1, length * samples.shape[1])
    levels = np.sqrt(np.square(blocks, dtype=np.float64).mean(axis=1))
    return float(np.percentile(levels, 90)) + 1e-9


def eased(new: Waveform, clip: Waveform, edge: int, inside: int) -> Waveform:
    """``new`` eased in from sample ``edge``, towards ``inside`` (a sample of the span).

    Outside the span ``clip`` is what is heard; a span may lie before the edge or after it.
    """
    rate = clip.sample_rate
    reach = min(round(_EASE_S * rate), abs(inside - edge))
    listen = min(round(_LISTEN_S * rate), reach)
    length = _frame(rate)
    if listen < length:
        return new
    forward = inside > edge
    # Everything is looked at with the span to the right of the edge.
    turn = slice(None) if forward else slice(None, None, -1)
    at = edge if forward else clip.frames - edge
    old, made = clip.samples[turn], new.samples[turn]
    if at < length:
        return new
    result = made.copy()
    for lane in range(clip.channels):
        outside = old[max(0, at - listen) : at, lane]
        gain = _gain_db(outside, made[at : at + listen, lane], length)
        gain *= _steadiness(old[max(0, at - 4 * listen) : at, lane], length)
        part = slice(max(0, at - length * 2), at + reach)
        result[part, lane] = _shaped(made[part, lane], at - part.start, reach, gain, length)
    return Waveform(np.ascontiguousarray(result[turn]), rate)


def _frame(sample_rate: int) -> int:
    return max(16, round(_FRAME_S * sample_rate / 2) * 2)


def _gain_db(outside: Samples, inside: Samples, length: int) -> Spectrum:
    """What brings the inside to the level outside, a bin, smooth over a third of an octave."""
    theirs, ours = _smooth(_power(outside, length)), _smooth(_power(inside, length))
    if theirs.max() < _SILENCE or ours.max() < _SILENCE:
        return np.zeros(len(theirs))
    floor = 1e-6 * max(float(theirs.max()), float(ours.max()))
    gain = 10.0 * np.log10((theirs + floor) / (ours + floor))
    return np.asarray(np.clip(gain, -_MOST_DB, _MOST_DB), np.float64)


def _steadiness(outside: Samples, length: int) -> float:
    """1 where the level does not move, 0 where it moves by ten decibels."""
    count = len(outside) // length
    if count < 2:
        return 0.0
    blocks = np.square(outside[-count * length :].astype(np.float64)).reshape(count, length)
    level = 10.0 * np.log10(blocks.mean(axis=1) + 1e-10)
    return max(0.0, 1.0 - float(level.std()) / _UNSTEADY_DB)


def _shaped(part: Samples, at: int, reach: int, gain_db: Spectrum, length: int) -> Samples:
    """``part`` with ``gain_db`` up to sample ``at`` and less and less of it over ``reach``."""
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
