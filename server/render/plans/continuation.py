"""Outpainting: more sound after the end of a clip, or before its beginning.

The clip is lengthened with silence, which is then inpainted. The windows over the new part
overlap each other and the clip and are denoised jointly, so that nothing drifts.
"""

from __future__ import annotations

import numpy as np

from server.audio.splice import Span
from server.render.plan import Plan, RenderContext, plan
from server.render.plans.edit import Edit
from server.render.plans.editing import edit_plan
from server.requests.resolved import ResolvedContinue

__all__: list[str] = []


@plan.register
def _(request: ResolvedContinue, context: RenderContext) -> Plan:
    clip = context.clips(request.clip).checked()
    sound = clip.waveform
    added = round(request.audio_length_in_s * sound.sample_rate)
    after = request.side == "after"
    padding = ((0, added) if after else (added, 0), (0, 0))
    longer = sound.with_samples(np.pad(sound.samples, padding))
    span = Span(sound.frames, longer.frames) if after else Span(0, added)
    begins = 0 if after else added
    edit = Edit(clip, longer, (span,), request.crossfade_s, begins=begins)
    return edit_plan(request, context, edit)
