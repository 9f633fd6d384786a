"""New sound put into a clip so that nobody hears where, and nothing else changes.

The model renders what is known of the clip too. How that differs in colour from the clip
itself is how the model colours everything, so it is taken off the new part (:func:`matched`).
Then the new part replaces a span of samples, or only a band of it (:func:`replaced`); samples
outside the span and its crossfades are not written to at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.audio.waveform import Samples, Waveform

__all__ = ["Span", "band_of", "filtered", "matched", "replaced", "turned_down"]

_FRAME_S: Final = 0.032
_MOST_DB: Final = 18.0
"""No band is corrected by more than this."""
_MOST_UNHEARD_DB: Final = 6.0
"""What a band may be raised by because its neighbour is."""
_TAPS: Final = 1025
_TURNED_DOWN: Final = 10
"""How often a new band is made a fifth softer, so that it fits under full scale."""
_AIR_KEY: Final = 0xA12
_AIR_SMOOTH_S: Final = 0.01
Spectrum = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Span:
    """Samples ``start`` to ``end`` of a clip, and the band that is replaced (None: all of it)."""

    start: int
    end: int
    low_hz: float | None = None
    high_hz: float | None = None

    def moved(self, by: int) -> Span:
        """The same span, ``by`` samples later."""
        return Span(self.start + by, self.end + by, self.low_hz, self.high_hz)

    def hears(self, hz: npt.NDArray[np.floating[Any]]) -> Mask:
        """True for the frequencies that are replaced."""
        low, high = self.low_hz or 0.0, self.high_hz or np.inf
        return np.asarray((hz >= low) & (hz < high))


def matched(new: Waveform, clip: Waveform, spans: list[Span], top_hz: float) -> Waveform:
    """``new`` with the colour and level that ``clip`` has where both play the same.

    ``top_hz`` is where the model's band ends; what the clip has above it is made from noise
    with the clip's spectrum and the movement of the new sound's own upper octave.
    """
    length = _length(clip)
    hz = np.asarray(np.fft.rfftfreq(length, 1.0 / clip.sample_rate), np.float64)
    where = _known_frames(clip, spans)
    heard = hz < 0.95 * top_hz
    outside = bool(where.any())
    if not outside:
        where[:] = True
        heard &= ~np.logical_or.reduce([span.hears(hz) for span in spans])
    lanes = []
    for old, made in zip(clip.samples.T, new.samples.T, strict=True):
        theirs = _power(old, where, len(hz))
        lane = filtered(made, _gain(_power(made, where, len(hz)), theirs, heard, hz))
        if outside and hz[-1] > top_hz:
            lane = lane + _air(lane, theirs * (hz > 0.95 * top_hz), where, top_hz, clip.sample_rate)
        lanes.append(lane)
    return Waveform(np.ascontiguousarray(np.stack(lanes, axis=1), np.float32), clip.sample_rate)


def turned_down(new: Waveform, span: Span, peak: float) -> Waveform:
    """``new`` made softer where its peak in ``span`` exceeds ``peak``."""
    found = float(np.abs(new.samples[span.start : span.end]).max(initial=0.0))
    if found <= peak:
        return new
    return Waveform(new.samples * np.float32(peak / found), new.sample_rate)


def replaced(clip: Waveform, new: Waveform, span: Span, crossfade: int) -> Waveform:
    """``clip`` with ``span`` taken from ``new``, which is as long and lies at the same time.

    ``crossfade`` samples before and after the span, as far as there are any, blend the two.
    """
    first = max(0, span.start - crossfade)
    last = min(clip.frames, span.end + crossfade)
    old = clip.samples[first:last]
    wanted = _in_band(clip, new, span, first, last)
    blend = _blend(last - first, span.start - first, last - span.end)
    samples = clip.samples.copy()
    samples[first:last] = _crossfaded(old, wanted, blend)
    return Waveform(samples, clip.sample_rate)


def band_of(samples: Samples, sample_rate: int, low_hz: float, high_hz: float) -> Samples:
    """What of ``samples`` [n, channels] lies between two frequencies, by a linear-phase filter.

    Everything outside the band is at least 80 dB down; the slopes lie inside it.
    """
    from scipy import signal

    nyquist = sample_rate / 2.0
    high_hz = min(high_hz, nyquist)
    slope = min(max(40.0, 0.08 * max(low_hz, 500.0)), 0.4 * (high_hz - low_hz))
    taps, beta = signal.kaiserord(80.0, slope / nyquist)
    corners = [low_hz + slope / 2.0] if low_hz > 0.0 else []
    if high_hz < nyquist:
        corners.append(high_hz - slope / 2.0)
    if not corners:
        return samples
    kernel = signal.firwin(
        taps | 1, corners, window=("kaiser", beta), pass_zero=low_hz <= 0.0, fs=sample_rate
    )
    filtered = signal.oaconvolve(samples, kernel.astype(np.float32)[:, None], mode="same", axes=0)
    # "same" is as long as the longer one, which may be the filter.
    start = max(0, (len(filtered) - len(samples)) // 2)
    return np.asarray(filtered[start : start + len(samples)], np.float32)


def _in_band(clip: Waveform, new: Waveform, span: Span, first: int, last: int) -> Samples:
    """What the span should become: the new sound, or the clip with one band exchanged."""
    if span.low_hz is None and span.high_hz is None:
        limit = max(1.0, clip.peak)
        return np.asarray(np.clip(new.samples[first:last], -limit, limit), np.float32)
    difference = band_of(
        new.samples - clip.samples, clip.sample_rate, span.low_hz or 0.0, span.high_hz or np.inf
    )[first:last]
    old, limit = clip.samples[first:last], max(1.0, clip.peak)
    for _ in range(_TURNED_DOWN):
        if np.abs(old + difference).max(initial=0.0) <= limit:
            break
        difference = difference * np.float32(0.8)
    # A clip without any headroom is clipped already; what is left over joins that.
    return np.asarray(np.clip(old + difference, -limit, limit), np.float32)


def _blend(length: int, fade_in: int, fade_out: int) -> npt.NDArray[np.float64]:
    """0 for the old, 1 for the new, along the span and its crossfades."""
    blend = np.ones(length)
    blend[:fade_in] = (np.arange(fade_in) + 1.0) / (fade_in + 1.0)
    blend[length - fade_out :] *= (np.arange(fade_out, 0, -1)) / (fade_out + 1.0)
    return blend


def _crossfaded(old: Samples, new: Samples, blend: npt.NDArray[np.float64]) -> Samples:
    """Both faded so that their sum keeps its power, however alike they are."""
    fading = blend < 1.0
    energy = float(np.sqrt(np.sum(old[fading] ** 2.0) * np.sum(new[fading] ** 2.0)))
    alike = float(np.sum(old[fading] * new[fading])) / energy if energy else 0.0
    alike = max(0.0, alike)
    fall, rise = np.cos(blend * np.pi / 2.0), np.sin(blend * np.pi / 2.0)
    scale = 1.0 / np.sqrt(1.0 + 2.0 * fall * rise * alike)
    mixed = old * (fall * scale)[:, None] + new * (rise * scale)[:, None]
    if np.abs(mixed).max(initial=0.0) > max(1.0, np.abs(old).max(initial=0.0)):
        # Faded straight, the sum is never above the louder of the two.
        mixed = old * (1.0 - blend)[:, None] + new * blend[:, None]
    mixed[~fading] = new[~fading]
    return np.asarray(mixed, np.float32)


def _length(sound: Waveform) -> int:
    return max(32, round(_FRAME_S * sound.sample_rate / 2) * 2)


def _known_frames(clip: Waveform, spans: list[Span]) -> Mask:
    """True for the analysis frames that hold nothing of any span."""
    length = _length(clip)
    hop = length // 2
    starts = np.arange(max(1, (clip.frames - length) // hop + 1)) * hop
    known = np.ones(len(starts), bool)
    for span in spans:
        known &= (starts + length <= span.start) | (starts >= span.end)
    return known


def filtered(samples: Samples, response: Spectrum) -> Samples:
    """``samples`` through the linear-phase filter with that magnitude from 0 Hz to Nyquist."""
    from scipy import signal

    grid = np.linspace(0.0, len(response) - 1.0, _TAPS // 2 + 1)
    magnitude = np.interp(grid, np.arange(len(response)), response)
    kernel = np.fft.irfft(magnitude, _TAPS - 1)
    kernel = np.append(np.roll(kernel, _TAPS // 2), 0.0) * np.hanning(_TAPS)
    padded = np.pad(samples, _TAPS)
    filtered = signal.oaconvolve(padded, kernel.astype(np.float32), mode="same")
    return np.asarray(filtered[_TAPS:-_TAPS], np.float32)


def _air(made: Samples, power: Spectrum, where: Mask, top_hz: float, rate: int) -> Samples:
    """Noise with the spectrum ``power``, moving as the upper octave of ``made`` does."""
    length = (len(power) - 1) * 2
    generator = np.random.Generator(np.random.Philox(key=[_AIR_KEY, len(made)]))
    noise = generator.standard_normal(len(made), np.float32)
    response = np.sqrt(power / np.square(np.hanning(length)).sum())
    octave = band_of(made[:, None], rate, top_hz / 2.0, 0.95 * top_hz)[:, 0]
    width = max(1, round(_AIR_SMOOTH_S * rate))
    smooth = np.convolve(np.square(octave), np.ones(width) / width, mode="same")
    usual = [smooth[k * (length // 2) :][:length].mean() for k in np.flatnonzero(where)]
    movement = np.sqrt(np.maximum(smooth, 0.0) / max(float(np.mean(usual)), 1e-12))
    return np.asarray(filtered(noise, response) * np.minimum(movement, 4.0), np.float32)


def _power(samples: Samples, where: Mask, bins: int) -> Spectrum:
    """Mean power spectrum of the frames ``where`` is true, [bins]."""
    length = (bins - 1) * 2
    padded = np.pad(samples, (0, max(0, length - len(samples))))
    total, window = np.zeros(bins), np.hanning(length)
    for frame in np.flatnonzero(where):
        piece = padded[frame * (length // 2) :][:length]
        total += np.square(np.abs(np.fft.rfft(piece * window)))
    return total / max(1, int(where.sum()))


def _gain(ours: Spectrum, theirs: Spectrum, heard: Mask, hz: npt.NDArray[np.float64]) -> Spectrum:
    """Factor a bin, smooth over a third of an octave; the others follow the nearest."""
    if not heard.any():
        return np.ones(len(hz))
    floor = 1e-7 * max(float(theirs[heard].max()), 1e-12)
    known = np.flatnonzero(heard)
    smooth = np.empty(len(known))
    for row, k in enumerate(known):
        near = known[(known >= k * 0.89) & (known <= max(k * 1.12, k + 1))]
        smooth[row] = 10.0 * np.log10((theirs[near].sum() + floor) / (ours[near].sum() + floor))
    gain_db = np.interp(hz, hz[known], np.clip(smooth, -_MOST_DB, _MOST_DB))
    gain_db[~heard] = np.minimum(gain_db[~heard], _MOST_UNHEARD_DB)
    return np.asarray(10.0 ** (gain_db / 20.0), np.float64)
