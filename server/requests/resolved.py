"""Requests with every setting filled in: what is queued, rendered and written into a take.

A request leaves settings open (None) for the model to decide. :func:`resolve` fills them in, once,
where a job is accepted; everything behind takes the result. A resolved request has the fields of
the kind it comes from, so it is stored and shown like one.

What stays None is a value of its own: no tempo, the clip's own file format, the cutoff that is
found in the clip. A variation takes its settings from the recipe of its take.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final, get_args

import msgspec

from server.errors import InvalidRequest
from server.model.manifest import Manifest
from server.requests.new_sound import NewSound, OneShot
from server.requests.one_shot import asks_for_one_hit
from server.requests.request import (
    Continue,
    Fill,
    Inpaint,
    Morph,
    Request,
    TextToAudio,
    Transfer,
    Upscale,
    Vary,
)
from server.requests.request_fields import MAX_TAKES, Sampler

__all__ = [
    "AnyResolved",
    "ResolvedContinue",
    "ResolvedFill",
    "ResolvedInpaint",
    "ResolvedMorph",
    "ResolvedSound",
    "ResolvedText",
    "ResolvedTransfer",
    "ResolvedUpscale",
    "ResolvedVary",
    "WithSettings",
    "parse_resolved",
    "resolve",
]

_DRAWN_SEED: Final = 2**24 - MAX_TAKES
"""Seeds drawn here, and those of all takes of a job, are exact as 32-bit floats.

Pure Data and many control surfaces have no other numbers.
"""


class ResolvedText(TextToAudio, frozen=True, kw_only=True, tag="text"):
    """Sound from words."""

    num_inference_steps: int
    guidance_scale: float
    guidance_end: float
    sampler: Sampler
    num_candidates: int
    seed: int


class ResolvedMorph(Morph, frozen=True, kw_only=True, tag="morph"):
    """Sound that turns from one prompt into the next."""

    num_inference_steps: int
    guidance_scale: float
    guidance_end: float
    sampler: Sampler
    num_candidates: int
    seed: int


class ResolvedFill(Fill, frozen=True, kw_only=True, tag="fill"):
    """Takes that lead from one sound to another."""

    num_inference_steps: int
    guidance_scale: float
    guidance_end: float
    sampler: Sampler
    num_candidates: int
    seed: int


class ResolvedTransfer(Transfer, frozen=True, kw_only=True, tag="transfer"):
    """A clip in the style of a prompt."""

    num_inference_steps: int
    guidance_scale: float
    guidance_end: float
    sampler: Sampler
    num_candidates: int
    seed: int


class ResolvedInpaint(Inpaint, frozen=True, kw_only=True, tag="inpaint"):
    """Parts of a clip made anew."""

    num_inference_steps: int
    guidance_scale: float
    guidance_end: float
    sampler: Sampler
    num_candidates: int
    seed: int


class ResolvedContinue(Continue, frozen=True, kw_only=True, tag="continue"):
    """More sound after a clip, or before it."""

    audio_length_in_s: float
    num_inference_steps: int
    guidance_scale: float
    guidance_end: float
    sampler: Sampler
    num_candidates: int
    seed: int


class ResolvedUpscale(Upscale, frozen=True, kw_only=True, tag="upscale"):
    """The missing upper band of a clip."""

    num_inference_steps: int
    guidance_scale: float
    guidance_end: float
    sampler: Sampler
    num_candidates: int
    seed: int


class ResolvedVary(Vary, frozen=True, kw_only=True, tag="vary"):
    """A take's neighbour; the settings it names replace those of the take's recipe."""

    num_candidates: int
    seed: int


ResolvedSound = ResolvedText | ResolvedMorph | ResolvedFill
WithSettings = (
    ResolvedSound | ResolvedTransfer | ResolvedInpaint | ResolvedContinue | ResolvedUpscale
)
AnyResolved = WithSettings | ResolvedVary

_BY_KIND: Final = {kind.__struct_config__.tag: kind for kind in get_args(AnyResolved)}


def resolve(
    request: Request, manifest: Manifest, draw_seed: Callable[[int], int] = secrets.randbelow
) -> AnyResolved:
    """The request with every open setting filled in from the model's defaults.

    Args:
        request: a valid request of any kind.
        manifest: the model that will render it.
        draw_seed: gives a number from 0 to below its argument, where the request names no seed.

    Raises:
        InvalidRequest: the model cannot do what is asked.
    """
    if isinstance(request, TextToAudio) and request.needs_bank and not manifest.has_grounding:
        raise InvalidRequest(
            f"grounding = {request.grounding:g}: the model {manifest.name} has no bank of sounds; "
            "set grounding to 0, or name a grounding_sound"
        )
    values = {name: getattr(request, name) for name in request.__struct_fields__}
    for name, value in _defaults(request, manifest, draw_seed).items():
        if name in values and values[name] is None:
            values[name] = value
    resolved: AnyResolved = _BY_KIND[request.__struct_config__.tag](**values)
    return resolved


def parse_resolved(values: dict[str, Any]) -> AnyResolved:
    """A resolved request from plain values, as another program of ours shows it.

    Raises:
        InvalidRequest: a setting is missing or of a wrong type.
    """
    try:
        resolved: AnyResolved = msgspec.convert(values, AnyResolved)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error)) from error
    return resolved


def _one_shot(request: NewSound) -> OneShot:
    """A hit is cut to what sounds of it, unless its length is given."""
    if request.loop or not asks_for_one_hit(request.prompt):
        return "off"
    given = request.audio_length_in_s is not None or request.bars is not None
    return "tight" if given else "trim"


def _defaults(
    request: Request, manifest: Manifest, draw_seed: Callable[[int], int]
) -> dict[str, Any]:
    """The values of the settings that ``request`` may have left open."""
    defaults, filled = manifest.defaults, dict[str, Any](num_candidates=1)
    if request.seed is None:
        filled["seed"] = draw_seed(_DRAWN_SEED)
        if isinstance(request, TextToAudio) and request.num_waveforms_per_prompt == 1:
            filled["num_candidates"] = defaults.num_candidates
    if not isinstance(request, Vary):
        filled["bandwidth"] = "full"
        filled["num_inference_steps"] = defaults.num_inference_steps
        filled["guidance_scale"] = defaults.guidance_scale
        filled["guidance_end"] = defaults.guidance_end
        filled["sampler"] = "ddim" if request.eta else defaults.sampler
    if isinstance(request, NewSound):
        filled["one_shot"] = _one_shot(request)
    length_known = isinstance(request, NewSound) and request.bars is not None
    if not length_known and not isinstance(request, Fill):  # its sounds say how long it is
        filled["audio_length_in_s"] = defaults.audio_length_in_s
    return filled
