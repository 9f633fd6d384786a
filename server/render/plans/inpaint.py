"""Inpainting: regions of a clip are rendered anew."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from server.audio.clip import Clip
from server.audio.splice import Span
from server.audio.waveform import Waveform
from server.errors import InvalidRequest, UnreadableAudio
from server.render.plan import Plan, RenderContext, plan
from server.render.plans.edit import Edit
from server.render.plans.editing import edit_plan
from server.render.recipe import Recipe
from server.requests.notation import read_notation
from server.requests.region import MIN_BAND_HZ, Region, parse_regions
from server.requests.resolved import ResolvedInpaint

__all__ = ["merged"]


@plan.register
def _(request: ResolvedInpaint, context: RenderContext) -> Plan:
    clip = context.clips(request.clip).checked()
    top_hz = context.manifest.sample_rate / 2.0
    regions = parse_regions(request.regions)
    bpm = request.bpm
    if bpm is None and any(region.in_beats for region in regions):
        bpm = _own_tempo(clip, request.clip)
    spans = [_span(region, bpm, clip.waveform, top_hz) for region in regions]
    return edit_plan(
        request, context, Edit(clip, clip.waveform, merged(spans), request.crossfade_s)
    )


def _own_tempo(clip: Clip, name: str) -> float:
    """The tempo with which ``clip`` was made, from its recipe.

    Raises:
        InvalidRequest: it has no recipe, or none with a tempo.
    """
    with contextlib.suppress(InvalidRequest, UnreadableAudio):
        made = Recipe.parse(clip.metadata.recipe, name).request
        tempo = getattr(made, "bpm", None) or read_notation(made.prompt).bpm
        if tempo:
            return float(tempo)
    raise InvalidRequest(f"regions in beats need a tempo, and {name} carries none; give one (bpm)")


def merged(spans: list[Span]) -> tuple[Span, ...]:
    """Merge spans of one band that overlap or touch."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.low_hz or 0.0, s.high_hz or 0.0, s.start)):
        last = found[-1] if found else None
        alike = last and (last.low_hz, last.high_hz) == (span.low_hz, span.high_hz)
        if last and alike and span.start <= last.end:
            found[-1] = replace(last, end=max(last.end, span.end))
        else:
            found.append(span)
    return tuple(sorted(found, key=lambda span: span.start))


def _span(region: Region, bpm: float | None, sound: Waveform, top_hz: float) -> Span:
    start, end = region.seconds(bpm, sound.seconds)
    rate = sound.sample_rate
    first = min(round(start * rate), sound.frames - 1)
    last = max(first + 1, round(end * rate))
    low, high = region.low_hz, region.high_hz
    if low is not None and high is not None:
        highest = min(top_hz, rate / 2.0)
        if low > highest - MIN_BAND_HZ:
            raise InvalidRequest(
                f"region {region}: nothing is made above {highest:g} Hz "
                f"(this model ends at {top_hz:g} Hz, the clip at {rate / 2:g} Hz)"
            )
        if first == 0 and last >= sound.frames:
            # Without context in time, nothing can be rendered above the model's own band.
            high = min(high, highest)
    return Span(first, last, low, high)
