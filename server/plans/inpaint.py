"""Regions of a clip made anew."""

from __future__ import annotations

from server.plan import Plan, Studio, plan
from server.plans.editing import Edit, edit_plan
from server.region import Region, parse_regions
from server.request import Inpaint
from server.splice import Span
from server.waveform import Waveform

__all__: list[str] = []


@plan.register
def _(request: Inpaint, studio: Studio) -> Plan:
    clip = studio.clips(request.clip).checked()
    regions = parse_regions(request.regions)
    spans = tuple(_span(region, request.bpm, clip.waveform) for region in regions)
    return edit_plan(request, studio, Edit(clip, clip.waveform, spans, request.crossfade_s))


def _span(region: Region, bpm: float | None, sound: Waveform) -> Span:
    start, end = region.seconds(bpm, sound.seconds)
    rate = sound.sample_rate
    first = min(round(start * rate), sound.frames - 1)
    return Span(first, max(first + 1, round(end * rate)), region.low_hz, region.high_hz)
