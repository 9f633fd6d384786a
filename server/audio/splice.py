"""Inaudible replacement of a part of a clip.

The model renders the kept part of the clip as well. The difference in spectrum between that
render and the clip is the model's own coloration. :func:`matched` removes it from the new part.
:func:`replaced` then puts the new part in place of a span of samples, or of one band of it.
Samples outside the span and its crossfades stay identical.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.audio.peaks import CEILING_DBFS, limited
from server.audio.waveform import Samples, Waveform
from server.audio.width import correlation, mixing_of

__all__ = ["Span", "band_of", "filtered", "matched", "replaced", "scaled_down"]

_FRAME_S: Final = 0.032
_MAX_GAIN_DB: Final = 18.0
"""Largest correction of a band."""
_MAX_EXTRAPOLATED_DB: Final = 6.0
"""Largest gain of a band that is not measured itself but follows its neighbour."""
_TAPS: Final = 1025
_CEILING: Final = 10.0 ** (CEILING_DBFS / 20.0)
_BELOW_PEAK: Final = 0.98
"""Highest peak of a new part beside a clip whose own peaks are higher than the ceiling."""
_BAND_PEAK: Final = 0.9998
"""The same where a band is new; what the clip keeps of its own peaks is hardly changed."""
_NOISE_KEY: Final = 0xA12
_ENVELOPE_S: Final = 0.01
"""Smoothing of the envelope that the noise above the model's band follows."""
Spectrum = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Span:
    """Samples ``start`` to ``end`` of a clip, and the band that is replaced (None: all of it)."""

    start: int
    end: int
    low_hz: float | None = None
    high_hz: float | None = None

    @property
    def whole_band(self) -> bool:
        """True where all frequencies are replaced."""
        return self.low_hz is None and self.high_hz is None

    def covers_all(self, frames: int) -> bool:
        """True where it leaves no sample of ``frames`` samples as it is."""
        return self.start <= 0 and self.end >= frames

    def moved(self, by: int) -> Span:
        """The same span, ``by`` samples later."""
        return Span(self.start + by, self.end + by, self.low_hz, self.high_hz)

    def covers(self, hz: npt.NDArray[np.floating[Any]]) -> Mask:
        """True for the frequencies that are replaced."""
        low, high = self.low_hz or 0.0, self.high_hz or np.inf
        return np.asarray((hz >= low) & (hz < high))


def matched(new: Waveform, clip: Waveform, spans: list[Span], top_hz: float) -> Waveform:
    """Remove the model's coloration from ``new``.

    The correction is the ratio of the spectra of ``clip`` and ``new`` outside ``spans``. Above
    ``top_hz`` the model renders nothing: there, noise is added with the spectrum of the clip and
    the envelope of the new sound's upper octave.

    Args:
        new: the rendered sound, as long as the clip.
        clip: the original.
        spans: what is replaced.
        top_hz: where the model's band ends.
    """
    length = _frame_length(clip.sample_rate)
    hz = np.asarray(np.fft.rfftfreq(length, 1.0 / clip.sample_rate), np.float64)
    kept = _kept_frames(clip, spans)
    compared = hz < 0.95 * top_hz
    outside = bool(kept.any())
    if not outside:
        kept[:] = True
        compared &= ~np.logical_or.reduce([span.covers(hz) for span in spans])
    high = outside and hz[-1] > top_hz
    noises = _noises(clip, spans) if high else []
    channels = []
    for k, (old, made) in enumerate(zip(clip.samples.T, new.samples.T, strict=True)):
        power = _power(old, kept, len(hz))
        channel = filtered(made, _gain(_power(made, kept, len(hz)), power, compared, hz))
        if high:
            power *= hz > 0.95 * top_hz
            response = np.sqrt(power / np.square(np.hanning(length)).sum())
            noise = filtered(noises[k], response)
            channel = channel + _enveloped(noise, channel, kept, top_hz, clip.sample_rate)
        channels.append(channel)
    return clip.with_samples(np.ascontiguousarray(np.stack(channels, axis=1), np.float32))


def scaled_down(new: Waveform, clip: Waveform, span: Span) -> Waveform:
    """Scale ``new`` down if its peak in ``span`` is higher than one may be beside ``clip``."""
    found = float(np.abs(new.samples[span.start : span.end]).max(initial=0.0))
    highest = _highest_peak(clip)
    if found <= highest:
        return new
    return new.with_samples(new.samples * np.float32(highest / found))


def replaced(clip: Waveform, new: Waveform, span: Span, crossfade: int) -> Waveform:
    """Replace ``span`` of ``clip`` by the same samples of ``new``, which is as long.

    ``crossfade`` samples before and after the span blend the two. The gain of the new part falls
    smoothly where its peaks would exceed both -1 dBFS and the peaks of the clip. A band that is
    replaced from end to end is left as high as it is, for the whole sound can be turned down.
    """
    first = max(0, span.start - crossfade)
    last = min(clip.frames, span.end + crossfade)
    old = clip.samples[first:last]
    wanted = _in_band(clip, new, span, first, last)
    blend = _blend(last - first, span.start - first, last - span.end)
    samples = clip.samples.copy()
    samples[first:last] = _crossfaded(old, wanted, blend)
    return clip.with_samples(samples)


def band_of(samples: Samples, sample_rate: int, low_hz: float, high_hz: float) -> Samples:
    """Filter ``samples`` [n, channels] to a band, with linear phase.

    Frequencies outside the band are at least 80 dB down; the slopes lie inside it.
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
    # The result is as long as the longer of the two, which may be the filter.
    start = max(0, (len(filtered) - len(samples)) // 2)
    return np.asarray(filtered[start : start + len(samples)], np.float32)


def _in_band(clip: Waveform, new: Waveform, span: Span, first: int, last: int) -> Samples:
    """What the span becomes: the new sound, or the clip with one band replaced."""
    if span.whole_band:
        return limited(new.samples[first:last], _highest_peak(clip), clip.sample_rate)
    difference = band_of(
        new.samples - clip.samples, clip.sample_rate, span.low_hz or 0.0, span.high_hz or np.inf
    )[first:last]
    together = np.asarray(clip.samples[first:last] + difference, np.float32)
    if span.covers_all(clip.frames):
        return together
    return limited(together, max(_CEILING, _BAND_PEAK * clip.peak), clip.sample_rate)


def _highest_peak(clip: Waveform) -> float:
    """Highest peak of a new part beside ``clip``."""
    return float(max(_CEILING, _BELOW_PEAK * clip.peak))


def _blend(length: int, fade_in: int, fade_out: int) -> npt.NDArray[np.float64]:
    """Share of the new sound along the span and its crossfades, 0 to 1."""
    blend = np.ones(length)
    blend[:fade_in] = (np.arange(fade_in) + 1.0) / (fade_in + 1.0)
    blend[length - fade_out :] *= (np.arange(fade_out, 0, -1)) / (fade_out + 1.0)
    return blend


def _crossfaded(old: Samples, new: Samples, blend: npt.NDArray[np.float64]) -> Samples:
    """Crossfade at constant power, whatever the correlation of the two."""
    fading = blend < 1.0
    energy = float(np.sqrt(np.sum(old[fading] ** 2.0) * np.sum(new[fading] ** 2.0)))
    correlation = float(np.sum(old[fading] * new[fading])) / energy if energy else 0.0
    correlation = max(0.0, correlation)
    fall, rise = np.cos(blend * np.pi / 2.0), np.sin(blend * np.pi / 2.0)
    scale = 1.0 / np.sqrt(1.0 + 2.0 * fall * rise * correlation)
    mixed = old * (fall * scale)[:, None] + new * (rise * scale)[:, None]
    if np.abs(mixed).max(initial=0.0) > max(_CEILING, np.abs(old).max(initial=0.0)):
        # A linear crossfade never exceeds the louder of the two.
        mixed = old * (1.0 - blend)[:, None] + new * blend[:, None]
    mixed[~fading] = new[~fading]
    return np.asarray(mixed, np.float32)


def _frame_length(sample_rate: int) -> int:
    return max(32, round(_FRAME_S * sample_rate / 2) * 2)


def _kept_frames(clip: Waveform, spans: list[Span]) -> Mask:
    """True for the analysis frames that lie outside all spans."""
    length = _frame_length(clip.sample_rate)
    hop = length // 2
    starts = np.arange(max(1, (clip.frames - length) // hop + 1)) * hop
    kept = np.ones(len(starts), bool)
    for span in spans:
        kept &= (starts + length <= span.start) | (starts >= span.end)
    return kept


def filtered(samples: Samples, response: Spectrum) -> Samples:
    """Filter ``samples`` with linear phase and magnitude ``response`` from 0 Hz to Nyquist."""
    from scipy import signal

    grid = np.linspace(0.0, len(response) - 1.0, _TAPS // 2 + 1)
    magnitude = np.interp(grid, np.arange(len(response)), response)
    kernel = np.fft.irfft(magnitude, _TAPS - 1)
    kernel = np.append(np.roll(kernel, _TAPS // 2), 0.0) * np.hanning(_TAPS)
    padded = np.pad(samples, _TAPS)
    filtered = signal.oaconvolve(padded, kernel.astype(np.float32), mode="same")
    return np.asarray(filtered[_TAPS:-_TAPS], np.float32)


def _noises(clip: Waveform, spans: list[Span]) -> list[Samples]:
    """White noise for each channel, correlated as the channels of ``clip`` are."""
    shown = np.ones(clip.frames, bool)
    for span in spans:
        shown[span.start : span.end] = False
    mixing = mixing_of(correlation(clip.samples[shown] if shown.any() else clip.samples))
    own = np.stack([_white(clip.frames, channel) for channel in range(clip.channels)])
    return list(np.asarray(mixing @ own, np.float32))


def _white(frames: int, channel: int) -> Samples:
    generator = np.random.Generator(np.random.Philox(key=[_NOISE_KEY + channel, frames]))
    return generator.standard_normal(frames, np.float32)


def _enveloped(noise: Samples, made: Samples, kept: Mask, top_hz: float, rate: int) -> Samples:
    """``noise`` with the envelope of the upper octave of ``made``, relative to that where kept."""
    octave = band_of(made[:, None], rate, top_hz / 2.0, 0.95 * top_hz)[:, 0]
    width = max(1, round(_ENVELOPE_S * rate))
    smooth = np.convolve(np.square(octave), np.ones(width) / width, mode="same")
    length = _frame_length(rate)
    usual = [smooth[k * (length // 2) :][:length].mean() for k in np.flatnonzero(kept)]
    envelope = np.sqrt(np.maximum(smooth, 0.0) / max(float(np.mean(usual)), 1e-12))
    return np.asarray(noise * np.minimum(envelope, 4.0), np.float32)


def _power(samples: Samples, kept: Mask, bins: int) -> Spectrum:
    """Mean power spectrum of the frames ``kept``, [bins]."""
    length = (bins - 1) * 2
    padded = np.pad(samples, (0, max(0, length - len(samples))))
    total, window = np.zeros(bins), np.hanning(length)
    for frame in np.flatnonzero(kept):
        piece = padded[frame * (length // 2) :][:length]
        total += np.square(np.abs(np.fft.rfft(piece * window)))
    return total / max(1, int(kept.sum()))


def _gain(
    ours: Spectrum, theirs: Spectrum, compared: Mask, hz: npt.NDArray[np.float64]
) -> Spectrum:
    """Gain of each bin, smooth over a third of an octave; others follow the nearest."""
    if not compared.any():
        return np.ones(len(hz))
    floor = 1e-7 * max(float(theirs[compared].max()), 1e-12)
    known = np.flatnonzero(compared)
    smooth = np.empty(len(known))
    for row, k in enumerate(known):
        near = known[(known >= k * 0.89) & (known <= max(k * 1.12, k + 1))]
        smooth[row] = 10.0 * np.log10((theirs[near].sum() + floor) / (ours[near].sum() + floor))
    gain_db = np.interp(hz, hz[known], np.clip(smooth, -_MAX_GAIN_DB, _MAX_GAIN_DB))
    gain_db[~compared] = np.minimum(gain_db[~compared], _MAX_EXTRAPOLATED_DB)
    return np.asarray(10.0 ** (gain_db / 20.0), np.float64)
