"""Super-resolution: the missing upper band of a clip is rendered, its own band is kept.

It is inpainting of a band over the whole clip. The crossover is linear-phase, so that the band
below it stays unchanged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from server.audio.clip import Clip
from server.audio.interruption import interruptible
from server.audio.splice import Span
from server.audio.waveform import Waveform
from server.errors import InvalidRequest
from server.render.plan import Finished, Plan, RenderContext, plan
from server.render.plans.edit import Edit
from server.render.plans.editing import edit_plan
from server.render.plans.sound import DEFAULT_RATE
from server.render.plans.unrendered import unrendered
from server.requests.resolved import ResolvedUpscale

__all__ = ["cutoff_of"]

_UNET_SHARE: Final = 0.95
"""A band that ends above this share of the model's needs no unet."""
_UPPER_SHARE: Final = 0.42
"""Above this share of its rate, a clip has no room for a band."""
_LEAST_SHARE: Final = 0.85
"""The end of a band is found down to this share of where it is."""
_LEAST_FULL_RATE: Final = 32_000
_HEARD_HZ: Final = 20_000.0
_DROP_DB: Final = 20.0
"""Fall within a third of an octave that counts as the end of a band."""
_MISSING_DB: Final = -40.0
"""Largest power above it, relative to the whole sound."""
_FRAME: Final = 4096
Curve = npt.NDArray[np.float64]


@plan.register
def _(request: ResolvedUpscale, context: RenderContext) -> Plan:
    clip = context.clips(request.clip).checked()
    top_hz, full = context.manifest.sample_rate / 2.0, request.bandwidth != "model"
    sound = clip.waveform.resample(_rate(request, clip.waveform.sample_rate, context, full))
    _check_cutoff(request, clip.waveform)
    cutoff = request.cutoff_hz or _end_below(clip.waveform, top_hz)
    if full and (cutoff is None or cutoff >= _UNET_SHARE * top_hz):
        above = cutoff or _end_of_band(clip.waveform, top_hz)
        if above is not None and above < _UPPER_SHARE * sound.sample_rate:
            return _upper_band_alone(request, context, clip, sound, max(above, top_hz))
    if cutoff is None:
        raise InvalidRequest(
            f"{request.clip}: no missing upper band was found below {top_hz:g} Hz; "
            "give cutoff_hz where its own band ends"
        )
    if cutoff >= _UNET_SHARE * top_hz:
        raise InvalidRequest(
            f"cutoff_hz {cutoff:g}: this model renders up to {top_hz:g} Hz, "
            "so there is nothing above it to add"
        )
    span = Span(0, sound.frames, cutoff, top_hz)
    measures = {"cutoff_hz": round(cutoff, 1)}
    planned = edit_plan(request, context, Edit(clip, sound, (span,), measures=measures))
    finish = planned.finish
    return replace(planned, finish=lambda latents: replace(finish(latents), before=sound))


def _check_cutoff(request: ResolvedUpscale, sound: Waveform) -> None:
    highest = sound.sample_rate / 2.0
    if request.cutoff_hz is not None and request.cutoff_hz > highest:
        raise InvalidRequest(
            f"cutoff_hz {request.cutoff_hz:g}: {request.clip} has nothing above {highest:g} Hz; "
            "leave it out, or give where its own band ends"
        )


def _rate(request: ResolvedUpscale, own: int, context: RenderContext, full: bool) -> int:
    """The clip's rate, or one with room for what is added."""
    lowest = context.manifest.sample_rate
    if full and own < _LEAST_FULL_RATE:
        lowest = request.delivery.sample_rate or DEFAULT_RATE
    return max(own, lowest)


def _end_below(sound: Waveform, top_hz: float) -> float | None:
    """Where the band of a clip ends below ``top_hz``, or just there; None where it does not."""
    found = cutoff_of(sound, top_hz)
    if found is None or found < _LEAST_SHARE * top_hz or sound.sample_rate / 2.0 < 1.05 * top_hz:
        return found
    return _steepest(sound, found)


def _end_of_band(sound: Waveform, top_hz: float) -> float | None:
    """Where the band of a clip ends that fills the model's; None where nothing is missing."""
    if sound.sample_rate / 2.0 <= 1.05 * top_hz:
        return top_hz
    found = cutoff_of(sound, min(_HEARD_HZ, 0.5 * sound.sample_rate / 0.96))
    if found is None or found < _LEAST_SHARE * top_hz:
        return None
    return _steepest(sound, found)


def _steepest(sound: Waveform, near_hz: float) -> float:
    """Where the spectrum falls most within a twelfth, around ``near_hz``.

    :func:`cutoff_of` may be a tenth too low where the spectrum also falls below its end.
    """
    level, hz = _spectrum_db(sound)
    places = np.flatnonzero((hz > 0.95 * near_hz) & (hz < min(1.25 * near_hz, 0.95 * hz[-1])))
    width = max(1, round(0.03 * near_hz / hz[1]))
    falls = [level[k - width] - level[min(k + width, len(level) - 1)] for k in places]
    return float(hz[places[int(np.argmax(falls))]])


def _upper_band_alone(
    request: ResolvedUpscale, context: RenderContext, clip: Clip, sound: Waveform, above: float
) -> Plan:
    """Nothing is missing in the model's band: the unet has no part in it."""
    edit = Edit(clip, sound, (Span(0, sound.frames, above),))
    finished = Finished(
        sound,
        clip.file_format,
        {"cutoff_hz": round(above, 1)},
        keeps_clip=True,
        top_hz=above,
        metadata=edit.metadata,
        new=edit.spans,
        around_db=sound.rms_db,
        highest_peak=max(1.0, sound.peak),
        sound_wanted=False,
        before=sound,
    )
    return unrendered(request, context, finished, own=clip.waveform)


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
