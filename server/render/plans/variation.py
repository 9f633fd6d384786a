"""Variations: a take's own plan with noise that is interpolated towards another seed's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from server.audio.clip import Clip, ClipLoader
from server.errors import InvalidRequest
from server.model.noise import Origin, slerp
from server.model.schedule import Latents
from server.model.text import unit
from server.render.plan import Finished, Plan, RenderContext, SeedVariation, plan
from server.render.recipe import Recipe
from server.requests.request import Delivery, Request
from server.requests.resolved import ResolvedVary, resolve

__all__: list[str] = []

_OVERRIDABLE = (
    "num_inference_steps",
    "guidance_scale",
    "guidance_end",
    "sampler",
    "prompt",
    "negative_prompt",
    "audio_prompt",
    "audio_embedding",
    "bandwidth",
    "eta",
)


@plan.register
def _(request: ResolvedVary, context: RenderContext) -> Plan:
    recipe = _recipe(request, context)
    # Recipes of older versions lack the settings that were added later.
    base = resolve(_with_overrides(recipe.request, request), context.manifest)
    planned = plan(base, replace(context, clips=partial(_same_clip, context.clips, recipe)))
    # The take's file may be deleted or overwritten when the recipe is read.
    kept = msgspec.structs.replace(request, recipe=msgspec.to_builtins(recipe))
    return replace(_varied(planned, base.seed, request.distance), recipe=kept)


def _varied(planned: Plan, origin: int, distance: float) -> Plan:
    """``planned`` with noise between that of ``origin`` and that of its seed."""

    def noise(seed: int, stream: int) -> Latents:
        return slerp(planned.noise(origin, stream), planned.noise(seed, stream), distance)

    def finish(latents: Latents) -> Finished:
        finished = planned.finish(latents)
        of = Origin(origin, distance, before=finished.origin)
        finished = replace(finished, origin=of)
        alone = finished.alone
        if alone is None:
            return finished
        return replace(finished, alone=lambda: _varied(alone(), origin, distance))

    variation = _between(planned.seed_variation, origin, distance)
    return replace(
        planned,
        noise=noise,
        finish=finish,
        seed_variation=variation,
        start=_fixed(planned.start, origin),
        ground=_fixed(planned.ground, origin),
    )


def _fixed(by_seed: Callable[[int], Any] | None, origin: int) -> Callable[[int], Any] | None:
    """``by_seed`` with the seed of the original take, whatever the seed."""
    return None if by_seed is None else lambda seed: by_seed(origin)


def _between(
    seed_variation: SeedVariation | None, origin: int, distance: float
) -> SeedVariation | None:
    if seed_variation is None:
        return None
    return lambda seed: unit(
        (1.0 - distance) * seed_variation(origin) + distance * seed_variation(seed)
    )


def _recipe(request: ResolvedVary, context: RenderContext) -> Recipe:
    """The recipe in the request, else the one in the take's file."""
    if request.recipe is None:
        recipe = Recipe.parse(context.clips(request.clip).metadata.recipe, request.clip)
    else:
        recipe = Recipe.of_values(request.recipe)
    if recipe.model_digest != context.manifest.digest:
        raise InvalidRequest(
            f"{request.clip} was made by model {recipe.model!r}, not by the loaded "
            f"{context.manifest.name!r}; load that model to vary it"
        )
    return recipe


def _same_clip(clips: ClipLoader, recipe: Recipe, name: str) -> Clip:
    """The clip that the take was made from, if it is unchanged.

    The check of its digest also keeps clients from probing files by naming them in a recipe.
    """
    clip = clips(name)
    if clip.digest != recipe.clips.get(name):
        raise InvalidRequest(f"{name} is not the clip that this take was made from")
    return clip


def _with_overrides(base: Request, request: ResolvedVary) -> Request:
    changed = {
        name: value for name in _OVERRIDABLE if (value := getattr(request, name)) not in (None, "")
    }
    if not request.eta:
        changed.pop("eta")
    if request.resembles_sound:
        changed["audio_prompt"] = request.audio_prompt
        changed["audio_embedding"] = request.audio_embedding
        changed["audio_prompt_weight"] = request.audio_prompt_weight
    if request.delivery != Delivery():
        changed["delivery"] = request.delivery
    return msgspec.structs.replace(base, num_waveforms_per_prompt=1, **changed)
