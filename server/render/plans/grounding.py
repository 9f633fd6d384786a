"""Grounded takes: the run starts from a sound near the prompt (after arXiv:2309.08051)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

import numpy as np

from server.model.grounding import GroundSound
from server.model.noise import INITIAL_STREAM
from server.model.schedule import Latents
from server.render.plan import Plan, RenderContext
from server.render.plans.own_sound import encoded, goes_on, heard_clip
from server.requests.resolved import ResolvedText

__all__ = ["grounded"]

DrawGround = Callable[[int], GroundSound]
_DRAWN: Final = 16
"""Sounds that are kept, as many as a job has candidates at a time."""


def grounded(planned: Plan, request: ResolvedText, context: RenderContext) -> Plan:
    """``planned`` with a run that starts from the user's sound, or from one of the model's bank.

    Args:
        planned: a plan of new sound.
        request: with ``grounding`` 0 the plan stays as it is; 1 runs no step, so that the sound
            itself is the take.
        context: the model with its bank, and the clips.

    Raises:
        UnreadableAudio, InvalidRequest: the user's sound cannot be used.
    """
    share = request.grounding
    ground = _drawing(planned, request, context)
    if not share or ground is None:
        return planned
    return replace(
        planned,
        start=partial(_start, ground, planned, context),
        strength=1.0 - share,
        ground=ground,
    )


def _drawing(planned: Plan, request: ResolvedText, context: RenderContext) -> DrawGround | None:
    """From a seed to the sound; the start of a run asks for it, and the recipe for its credit."""
    if request.grounding_sound:
        own = _own_sound(request.grounding_sound, planned.windows.total, context)
        return lambda seed: own
    known = context.known_sounds
    if known is None:
        return None
    return lru_cache(_DRAWN)(partial(known.draw_ground, planned.target))


def _own_sound(name: str, frames: int, context: RenderContext) -> GroundSound:
    """The user's sound ``name``, of which ``frames`` latent frames are needed at most."""
    sound = heard_clip(name, "grounding_sound", context).waveform
    whole = max(1, round(sound.seconds / context.manifest.seconds_per_latent_frame))
    latent = encoded(sound, min(frames, whole), context)
    return GroundSound(latent, goes_on(sound.downmix()), Path(name).name)


def _start(ground: DrawGround, planned: Plan, context: RenderContext, seed: int) -> Latents:
    """The sound that ``seed`` draws, as long as the take and the same in all channels."""
    latent = _as_long(ground(seed), planned.windows.total, context)
    channels = len(planned.noise(seed, INITIAL_STREAM))
    return np.repeat(latent[None], channels, axis=0)


def _as_long(sound: GroundSound, frames: int, context: RenderContext) -> Latents:
    """The latent [C, frames, F] of ``sound``: repeated where it loops, else before silence."""
    latent = sound.latent[:, :frames]
    missing = frames - latent.shape[1]
    if not missing:
        return latent
    if sound.looping:
        return np.resize(latent.transpose(1, 0, 2), (frames, *latent[:, 0].shape)).transpose(
            1, 0, 2
        )
    hop = context.manifest.samples_per_latent_frame
    silence = context.autoencoder.encode(np.zeros(missing * hop, np.float32))
    return np.concatenate([latent, silence], axis=1)
