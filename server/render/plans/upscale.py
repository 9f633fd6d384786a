"""Super-resolution: the missing upper band of a clip is rendered, its own band is kept.

It is inpainting of a band over the whole clip. The crossover is linear-phase, so that the band
below it stays unchanged.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from server.audio.interruption import interruptible
from server.audio.splice import Span
from server.audio.waveform import Waveform
from server.errors import InvalidRequest
from server.render.plan import Plan, RenderContext, plan
from server.render.plans.edit import Edit
from server.render.plans.editing import edit_plan
from server.requests.resolved import ResolvedUpscale

__all__ = ["cutoff_of"]

_DROP_DB: Final = 20.0
"""Fall within a third of an octave that counts as the end of a band."""
_MISSING_DB: Final = -40.0
"""Largest power above it, relative to the whole sound."""
_FRAME: Final = 4096
Curve = npt.NDArray[np.float64]


@plan.register
def _(request: ResolvedUpscale, context: RenderContext) -> Plan:
    clip = context.clips(request.clip).checked()
    top_hz = context.manifest.sample_rate / 2.0
    rate = max(clip.waveform.sample_rate, context.manifest.sample_rate)
    sound = clip.waveform.resample(rate)
    cutoff = request.cutoff_hz or cutoff_of(clip.waveform, top_hz)
    if cutoff is None:
        raise InvalidRequest(
            f"{request.clip}: no missing upper band was found below {top_hz:g} Hz; "
            "give cutoff_hz where its own band ends"
        )
    if cutoff >= 0.95 * top_hz:
        raise InvalidRequest(
            f"cutoff_hz {cutoff:g}: this model renders up to {top_hz:g} Hz, "
            "so there is nothing above it to add"
        )
    span = Span(0, sound.frames, cutoff, top_hz)
    measures = {"cutoff_hz": round(cutoff, 1)}
    return edit_plan(request, context, Edit(clip, sound, (span,), measures=measures))


def cutoff_of(sound: Waveform, top_hz: float) -> float | None:
    """Find the end of the band of ``sound``: the steepest fall of its spectrum below ``top_hz``.

    Above it there must be almost no power: a soft hiss over a loud bass is not a missing band.

    Returns:
        the frequency in Hz; 0.9 of half the rate where that is too low for ``top_hz``; None where
        there is no such fall.
    """
    if sound.sample_rate / 2.0 < 0.95 * top_hz:
        return 0.45 * sound.sample_rate
    level, hz = _spectrum_db(sound)
    best: tuple[float, float] = (0.0, 0.0)
    for k in np.flatnonzero((hz > 300.0) & (hz < 0.93 * top_hz)):
        below = level[(hz > hz[k] * 0.8) & (hz <= hz[k])]
        above = level[(hz >= hz[k] * 1.12) & (hz < top_hz)]
        if not len(below) or not len(above):
            continue
        drop = float(np.median(below) - np.max(above))
        if drop > best[0] and _power_db(above) - _power_db(level) < _MISSING_DB:
            best = (drop, float(hz[k]))
    return best[1] if best[0] >= _DROP_DB else None


def _power_db(level: Curve) -> float:
    """Total power of bins at ``level`` dB, in dB."""
    return 10.0 * float(np.log10(np.sum(10.0 ** (level / 10.0))))


def _spectrum_db(sound: Waveform) -> tuple[Curve, Curve]:
    """Smoothed mean spectrum of the whole sound in dB, and the frequencies of its bins."""
    interruptible()
    mono = np.pad(sound.downmix(), (0, max(0, _FRAME - sound.frames)))
    interruptible()
    starts = range(0, len(mono) - _FRAME + 1, max(_FRAME // 2, len(mono) // 512))
    window = np.hanning(_FRAME)
    power = np.mean(
        [np.square(np.abs(np.fft.rfft(mono[s : s + _FRAME] * window))) for s in starts], axis=0
    )
    power = np.convolve(power, np.ones(9) / 9.0, mode="same")
    if not power.any():
        return np.zeros(len(power)), np.zeros(len(power))
    level = np.asarray(10.0 * np.log10(np.maximum(power / power.max(), 1e-10)), np.float64)
    return level, np.asarray(np.fft.rfftfreq(_FRAME, 1.0 / sound.sample_rate), np.float64)
