"""What a job takes, from its request and from what its clip says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from server.audio.fence.pool import DECODERS
from server.audio.fence.wire import Facts
from server.audio.formats import FileFormat
from server.errors import AudioLDMError
from server.jobs.job import Effort, Work
from server.model.manifest import Manifest
from server.requests.region import parse_regions
from server.requests.request import Request
from server.requests.resolved import (
    AnyResolved,
    ResolvedContinue,
    ResolvedFill,
    ResolvedInpaint,
    ResolvedSound,
    ResolvedTransfer,
    ResolvedUpscale,
    ResolvedVary,
    WithSettings,
    resolve,
)

__all__ = ["effort_of"]

_RATE: Final = 48_000
"""Rate at which new sounds are delivered where the request names none."""
_STEREO: Final = 2
_FILE_BYTES: Final = 65536
"""Of a take besides its samples: the recipe and other metadata."""
_SAMPLE_BYTES: Final[Mapping[FileFormat, int]] = {
    "wav8": 1,
    "wav16": 2,
    "wav24": 3,
    "wav32": 4,
    "wav32f": 4,
    "wav64f": 8,
    "flac": 3,
    "flac16": 2,
}


async def effort_of(request: AnyResolved, manifest: Manifest) -> Effort:
    """What ``request`` takes; unknown where its clip cannot be read, of which the job will say why.

    Whatever a client names is opened in a decoding process, and nothing is decoded.
    """
    try:
        return await _effort(request, manifest)
    except AudioLDMError:
        return Effort(usual=_usual(manifest))


async def _effort(request: AnyResolved, manifest: Manifest) -> Effort:
    if isinstance(request, ResolvedVary):
        return await _of_variation(request, manifest)
    facts, read_s = None, 0.0
    if isinstance(request, ResolvedFill):
        request, read_s = await _with_length(request)
    elif not isinstance(request, ResolvedSound):
        facts = await _facts(request.clip)
        read_s = _read_s(facts)
    seconds = _rendered_s(request, facts, manifest)
    steps = request.num_inference_steps
    if isinstance(request, ResolvedTransfer | ResolvedFill):
        steps = max(1, round(steps * request.strength))
    return Effort(
        work=Work(steps, request.num_renders, seconds),
        usual=_usual(manifest),
        read_s=read_s,
        take_bytes=request.num_waveforms_per_prompt * _take_bytes(request, facts, manifest),
    )


async def _with_length(request: ResolvedFill) -> tuple[ResolvedFill, float]:
    """``request`` with the length of its takes, and the seconds of sound that are read."""
    facts = [await _facts(name) for name in (request.clip, request.other)]
    read_s = sum(map(_read_s, facts))
    return request.as_long_as(*(fact.seconds for fact in facts)), read_s


async def _of_variation(request: ResolvedVary, manifest: Manifest) -> Effort:
    """That of the recipe's request, as often as the variation asks for."""
    from server.render.recipe import Recipe  # brings numpy, which the server else does without

    read_s = 0.0
    if request.recipe is None:
        facts = await _facts(request.clip)
        read_s = _read_s(facts)
        try:
            recipe = Recipe.parse(facts.recipe, request.clip)
        except AudioLDMError:  # which the job says after it has read the file
            return Effort(work=Work(0, 1, 0.0), usual=_usual(manifest), read_s=read_s)
    else:
        recipe = Recipe.of_values(request.recipe)
    changes: dict[str, Any] = {
        "num_waveforms_per_prompt": request.num_waveforms_per_prompt,
        "num_candidates": request.num_candidates,
    }
    if request.num_inference_steps is not None:
        changes["num_inference_steps"] = request.num_inference_steps
    base = resolve(msgspec.structs.replace(recipe.request, **changes), manifest)
    effort = await _effort(base, manifest)
    return msgspec.structs.replace(effort, read_s=effort.read_s + read_s)


async def _facts(path: str) -> Facts:
    return await DECODERS.facts(Path(path))


def _read_s(facts: Facts) -> float:
    """Seconds of sound that are read, over all channels."""
    return facts.seconds * facts.channels


def _usual(manifest: Manifest) -> Work:
    defaults = manifest.defaults
    return Work(defaults.num_inference_steps, defaults.num_candidates, defaults.audio_length_in_s)


def _rendered_s(request: WithSettings, facts: Facts | None, manifest: Manifest) -> float:
    """Seconds of sound that one render denoises, over all channels."""
    if facts is None:
        return _sound_s(request)
    around_s = manifest.defaults.audio_length_in_s
    match request:
        case ResolvedInpaint():
            regions = parse_regions(request.regions)
            spans = [region.seconds(request.bpm, facts.seconds) for region in regions]
            seconds = sum(end - start + around_s for start, end in spans)
        case ResolvedContinue():
            seconds = request.audio_length_in_s + around_s / 2
        case _:
            seconds = facts.seconds
    longest_s = facts.seconds + _sound_s(request)
    return min(seconds, longest_s) * facts.channels


def _sound_s(request: Request) -> float:
    """Length of what is added to nothing, or to a clip."""
    if isinstance(request, ResolvedSound):
        return request.seconds
    return request.audio_length_in_s if isinstance(request, ResolvedContinue) else 0.0


def _take_bytes(request: WithSettings, facts: Facts | None, manifest: Manifest) -> int:
    """Size of one take at most."""
    delivery = request.delivery
    rate = delivery.sample_rate or (facts.sample_rate if facts else _RATE)
    if isinstance(request, ResolvedUpscale):
        rate = max(rate, manifest.sample_rate)
    channels = delivery.channels or (facts.channels if facts else _STEREO)
    seconds = _sound_s(request) + (facts.seconds if facts else 0.0)
    sample = facts.sample_bytes if facts else _SAMPLE_BYTES["wav24"]
    if delivery.file_format is not None:
        sample = _SAMPLE_BYTES[delivery.file_format]
    return round(seconds * rate) * channels * sample + _FILE_BYTES
