"""Takes between two sounds: both are interpolated in CLAP's space and in the VAE's.

The embedding, which says what a take is, and the latent that its run starts from, which says how it
goes, are both interpolated spherically. ``strength`` is the share of the steps that are run: with 0
a take is the decoded mixture of both latents, with 1 only the embedding leads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from server.audio.waveform import Waveform
from server.model.noise import slerp
from server.model.schedule import Latents
from server.model.text import Embedding, unit
from server.render.conditioning import condition, embedded, prompted
from server.render.plan import Finished, Plan, RenderContext, Way, plan
from server.render.plans.own_sound import encoded, heard_clip
from server.render.plans.sound import new_sound, take_windows
from server.requests.resolved import ResolvedFill

__all__: list[str] = []


@plan.register
def _(request: ResolvedFill, context: RenderContext) -> Plan:
    clip = heard_clip(request.clip, "clip", context).waveform
    other = heard_clip(request.other, "other", context).waveform
    request = request.as_long_as(clip.seconds, other.seconds)
    way = Way((embedded(clip, context), embedded(other, context)), _place(request))
    windows = take_windows(context.manifest, request.seconds, request.loop)
    middle = way.embedding(0.5 * (request.begin + request.end))
    planned = new_sound(
        request, context, windows, np.repeat(middle[None], len(windows), axis=0), middle
    )
    return replace(
        planned,
        way=way,
        seed_variation=_conditions(request, context, way),
        variety=1.0,
        finish=partial(_finish, planned.finish),
        start=_start(request, context, (clip, other), windows.total),
        strength=request.strength,
        recipe=request,
    )


def _place(request: ResolvedFill) -> Callable[[int], float]:
    """From a take's seed to its place; every other seed is in the middle."""
    count = request.num_waveforms_per_prompt

    def place(seed: int) -> float:
        number = seed - request.seed
        return request.place(number if 0 <= number < count else (count - 1) // 2)

    return place


def _conditions(
    request: ResolvedFill, context: RenderContext, way: Way
) -> Callable[[int], Embedding]:
    """From a take's seed to its condition: its place on the way, with what the prompt adds."""
    said = condition(request, context) if prompted(request) else None
    weight = request.audio_prompt_weight

    def conditions(seed: int) -> Embedding:
        own = way.embedding(way.place(seed))
        return own if said is None else unit(weight * own + (1.0 - weight) * said)

    return conditions


def _finish(finish: Callable[[Latents], Finished], latents: Latents) -> Finished:
    """A silent take is not drawn again: another seed has no place on the way."""
    return replace(finish(latents), sound_wanted=False)


def _start(
    request: ResolvedFill, context: RenderContext, clips: tuple[Waveform, Waveform], frames: int
) -> Callable[[int], Latents] | None:
    if request.strength == 1.0:
        return None
    encode = partial(encoded, frames=frames, context=context, ring=request.loop)
    first, last = map(encode, clips)
    place = _place(request)
    return lambda seed: slerp(first, last, place(seed))[None]
