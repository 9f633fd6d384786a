"""The upper band of a finished sound, where the model made none.

New sounds get it everywhere. An edit gets it in its spans only, at the level and with the colour
that the clip itself has above the model's band on either side of a span: see ``upper_seam``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from server.audio.peaks import CEILING_DBFS, limited
from server.audio.splice import Span
from server.audio.waveform import Samples, Waveform
from server.fullband.analysis import CROSSOVER_HZ
from server.fullband.upper_band import UpperBand
from server.fullband.width import spread
from server.render.finishing.upper_seam import gain_at_seams
from server.render.plan import Finished
from server.requests.new_sound import NewSound
from server.requests.resolved import WithSettings

__all__ = ["completed"]

_MODEL_HZ: Final = 8_000.0
"""The network reads the band below it; a model that ends lower is not widened."""
_TOP_HZ: Final = 20_000.0
_LEAST_SHARE: Final = 1.05
"""Half the rate over the model's band, from which there is a band to fill."""
_AROUND_S: Final = 1.5
"""Sound on either side of a span that the network reads."""
_SHORTEST_FADE_S: Final = 0.005


def completed(
    decoded: Finished, settings: WithSettings, upper_band: UpperBand, seed: int
) -> Finished:
    """The decoded sound with its upper band and its width, as far as they are asked for."""
    if settings.bandwidth != "model":
        decoded = with_upper_band(decoded, upper_band, seed)
    if isinstance(settings, NewSound):
        decoded = with_width(decoded, *settings.layout, seed)
    return with_added_level(decoded)


def with_upper_band(finished: Finished, upper_band: UpperBand, seed: int) -> Finished:
    """``finished`` with the band above ``finished.top_hz``, where its rate has room for one."""
    sound, top = finished.sound, finished.top_hz
    if top is None or not _MODEL_HZ <= top < _TOP_HZ or not np.isfinite(sound.samples).all():
        return finished
    if sound.sample_rate / 2.0 < _LEAST_SHARE * top:
        return finished
    spans = _spans(finished)
    if spans is not None:
        filled = sound
        for span in spans:
            filled = _filled(filled, finished, span, upper_band, seed)
        seam_db = finished.seam_db and finished.seam_db(filled)
        seam = {} if seam_db is None else {"seam_db": seam_db}
        return replace(finished, sound=filled, measures=finished.measures | seam)
    start_hz = _start_hz(finished)
    upper = upper_band.of(
        sound, seed, circular=finished.circular, start_hz=start_hz, origin=finished.origin
    )
    added = {"upper_band_db": round(upper.rms_db - sound.rms_db, 1)} if sound.peak else {}
    return replace(
        finished,
        sound=sound.with_samples(sound.samples + upper.samples),
        measures=finished.measures | added,
    )


def _spans(finished: Finished) -> list[Span] | None:
    """The new parts with their crossfades; None where all of the sound gets its upper band."""
    frames, fade = finished.sound.frames, finished.fade
    if finished.new is None or finished.before is not None:
        return None
    if any(span.covers_all(frames) and span.whole_band for span in finished.new):
        return None
    return [
        Span(max(0, span.start - fade), min(frames, span.end + fade))
        for span in finished.new
        if span.whole_band
    ]


def with_width(finished: Finished, channels: int, width: float, seed: int) -> Finished:
    """A mono sound on ``channels`` channels."""
    sound = finished.sound
    if channels == 1 or sound.channels != 1 or not np.isfinite(sound.samples).all():
        return finished
    wide = spread(sound, channels, width, seed, circular=finished.circular, origin=finished.origin)
    return replace(finished, sound=wide)


def with_added_level(finished: Finished) -> Finished:
    """The measure ``added_db``: level of what a job added to a clip, relative to the clip."""
    before = finished.before
    if before is None or not before.peak:
        return finished
    added = before.with_samples(finished.sound.samples - before.samples)
    measures = finished.measures | {"added_db": round(added.rms_db - before.rms_db, 1)}
    return replace(finished, measures=measures)


def _start_hz(finished: Finished) -> float:
    """The crossover: a little below the end of the rendered band."""
    return (finished.top_hz or _MODEL_HZ) * CROSSOVER_HZ / _MODEL_HZ


def _filled(
    filled: Waveform, finished: Finished, span: Span, upper_band: UpperBand, seed: int
) -> Waveform:
    """``filled`` with the upper band of one span; every sample outside it stays as it is."""
    sound = finished.sound
    excerpt, moved = _excerpt(finished, span)
    gain = gain_at_seams(excerpt, moved, upper_band)
    upper = upper_band.of(
        excerpt, seed, start_hz=_start_hz(finished), gain=gain, origin=finished.origin
    ).samples
    new = upper[moved.start : moved.end] * _edges(finished, span)[:, None]
    samples, limit = filled.samples.copy(), max(10.0 ** (CEILING_DBFS / 20.0), sound.peak)
    together = samples[span.start : span.end] + new
    samples[span.start : span.end] = limited(together, limit, sound.sample_rate)
    return filled.with_samples(samples)


def _excerpt(finished: Finished, span: Span) -> tuple[Waveform, Span]:
    """A span with the sound around it, up to the next spans; and its place therein."""
    sound = finished.sound
    around = round(_AROUND_S * sound.sample_rate)
    others = _spans(finished) or []
    earlier = [other.end for other in others if other.end <= span.start]
    later = [other.start for other in others if other.start >= span.end]
    first = max([0, span.start - around, *earlier])
    last = min([sound.frames, span.end + around, *later])
    return sound.with_samples(sound.samples[first:last]), span.moved(-first)


def _edges(finished: Finished, span: Span) -> Samples:
    """A fade at each end of a span that does not lie at an end of the sound."""
    length = span.end - span.start
    window = np.ones(length, np.float32)
    shortest = round(_SHORTEST_FADE_S * finished.sound.sample_rate)
    fade = min(max(shortest, finished.fade), length // 2)
    rise = np.sin(0.5 * np.pi * (np.arange(fade) + 0.5) / max(fade, 1)).astype(np.float32)
    if span.start > 0:
        window[:fade] = rise
    if span.end < finished.sound.frames:
        window[length - fade :] *= rise[::-1]
    return window
