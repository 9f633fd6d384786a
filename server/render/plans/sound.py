"""New sound: text to audio, and morphs from one prompt to the next."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from server.audio.metadata.carried import Metadata
from server.audio.metadata.loops import Played
from server.audio.seam import ring_seam_db
from server.audio.waveform import Waveform
from server.model.manifest import Manifest
from server.model.noise import same_noise, slerp
from server.model.schedule import Latents
from server.model.text import Embedding, unit
from server.render.channels import stacked
from server.render.conditioning import (
    condition,
    notation_of,
    seed_variation,
    unconditional,
    wants_sound,
)
from server.render.finishing.tuning import tuned
from server.render.plan import Finished, Plan, RenderContext, Treatment, plan
from server.render.plans.grounding import grounded
from server.render.windows import Windows
from server.requests.notation import Notation, tonic
from server.requests.prompt import PromptStage, parse_stages
from server.requests.resolved import ResolvedMorph, ResolvedSound, ResolvedText

__all__ = ["longest_window", "one_shot", "ring_of", "take_windows"]

DEFAULT_RATE: Final = 48000
_MORPH_WINDOWS: Final = 8
"""A morph has at least this many windows, each with its own condition."""


@plan.register
def _(request: ResolvedText, context: RenderContext) -> Plan:
    windows = _windows(request, context.manifest)
    wanted = condition(request, context)
    planned = _plan(
        request, context, windows, np.repeat(wanted[None], len(windows), axis=0), wanted
    )
    varied = replace(
        planned, seed_variation=seed_variation(request, context), variety=request.variety
    )
    return grounded(varied, request.grounding, context)


@plan.register
def _(request: ResolvedMorph, context: RenderContext) -> Plan:
    windows = _windows(request, context.manifest, _MORPH_WINDOWS)
    stages = parse_stages(request.prompt)
    wanted = [condition(request, context, stage.prompt) for stage in stages]
    conditions = np.stack([_between(stages, wanted, at) for at in windows.centres])
    return _plan(request, context, windows, conditions, unit(np.mean(wanted, axis=0)))


def _plan(
    request: ResolvedSound,
    context: RenderContext,
    windows: Windows,
    conditions: Embedding,
    target: Embedding,
) -> Plan:
    return Plan(
        settings=request,
        windows=windows,
        condition=conditions,
        unconditional=unconditional(request, context),
        noise=same_noise(context.manifest.latent, windows.total),
        finish=partial(_finish, request, context),
        target=target,
        notation=_notation(request, context.manifest, windows),
    )


def _notation(request: ResolvedSound, manifest: Manifest, windows: Windows) -> Notation:
    """Note and tempo; the tempo of a loop is scaled with its length in whole latent frames."""
    notation = notation_of(request)
    if not request.loop:
        return notation
    ring_s = windows.total * manifest.seconds_per_latent_frame
    return replace(notation, bpm=notation.bpm * request.seconds / ring_s)


def _windows(request: ResolvedSound, manifest: Manifest, at_least: int = 1) -> Windows:
    return take_windows(manifest, request.seconds, request.loop, at_least)


def take_windows(manifest: Manifest, seconds: float, loop: bool, at_least: int = 1) -> Windows:
    """Windows over ``seconds``, at least ``at_least`` where the unet's frame multiple allows."""
    multiple = manifest.latent.time_multiple
    total, window = manifest.latent_frames(seconds), longest_window(manifest)
    if loop:
        # Only windows pass through the unet, so the ring itself may have any length.
        hop = manifest.samples_per_latent_frame
        total = max(1, round(seconds * manifest.sample_rate / hop))
    if at_least > 1:
        share = -(-2 * total // (at_least + 1 - loop))
        window = min(window, max(-(-share // multiple), 2) * multiple)
    return Windows.around(total, window, multiple) if loop else Windows.over(total, window)


def longest_window(manifest: Manifest) -> int:
    """Latent frames of the longest window that the model was trained for."""
    return manifest.latent_frames(manifest.defaults.max_audio_length_in_s)


def _between(stages: tuple[PromptStage, ...], wanted: list[Embedding], at: float) -> Embedding:
    """Interpolate between the stages before and after ``at``."""
    after = next((i for i, stage in enumerate(stages) if stage.at >= at), len(stages) - 1)
    before = max(after - 1, 0)
    low, high = stages[before].at, stages[after].at
    share = min(1.0, max(0.0, (at - low) / (high - low))) if high > low else 1.0
    return unit(slerp(wanted[before], wanted[after], share))


def _finish(request: ResolvedSound, context: RenderContext, latents: Latents) -> Finished:
    rate = request.delivery.sample_rate or DEFAULT_RATE
    decode = ring_of if request.loop else one_shot
    note = notation_of(request).note if request.tune else 0.0
    sound, cents = tuned(partial(decode, context, latents, request.seconds, rate), note)
    measures = {"tuned_cents": cents} if cents else {}
    if request.loop:
        return _finished_loop(request, context, sound, measures)
    return Finished(
        sound,
        measures=measures,
        top_hz=context.manifest.sample_rate / 2.0,
        treatment=Treatment(request.one_shot or "off", matched_level=True),
        metadata=_played(request, sound),
        sound_wanted=wants_sound(request),
    )


def _played(request: ResolvedSound, sound: Waveform) -> Metadata:
    """Tempo, loop and root note of ``sound``, for DAWs and samplers."""
    notation = notation_of(request)
    note = round(notation.note) or tonic(request.key)
    bpm = request.bpm or notation.bpm
    played = Played(sound.frames, sound.sample_rate, request.loop, bpm, request.beats_per_bar, note)
    return Metadata(played.chunks, played.comments)


def one_shot(
    context: RenderContext, latents: Latents, seconds: float, rate: int, pitch: float = 1.0
) -> Waveform:
    """Decode the first ``seconds`` of ``latents`` [channels, C, T, F], transposed by ``pitch``."""
    model_rate = round(context.manifest.sample_rate * pitch)
    channels = [context.autoencoder.decode(channel, pitch) for channel in latents]
    sound = stacked(channels, model_rate).crop(math.ceil(seconds * model_rate))
    return sound.resample(rate).crop(round(seconds * rate))


def ring_of(
    context: RenderContext, latents: Latents, seconds: float, rate: int, pitch: float = 1.0
) -> Waveform:
    """Decode circular ``latents`` [channels, C, T, F] to a loop of exactly ``seconds``.

    The mel frames are stretched to the nearest hop of a loop that is ``pitch`` times as long.
    The samples are stretched by the rest, so that they are transposed by ``pitch``.
    """
    manifest = context.manifest
    mel_frames = max(1, round(seconds * manifest.sample_rate / manifest.hop_length * pitch))
    channels = [context.autoencoder.decode_ring(channel, mel_frames) for channel in latents]
    return stacked(channels, manifest.sample_rate).resample_ring(round(seconds * rate), rate)


def _finished_loop(
    request: ResolvedSound, context: RenderContext, ring: Waveform, measures: dict[str, float]
) -> Finished:
    length = request.seconds * ring.sample_rate
    return Finished(
        ring,
        measures={
            **measures,
            "seam_db": ring_seam_db(ring),
            "length_error_samples": ring.frames - length,
        },
        circular=True,
        top_hz=context.manifest.sample_rate / 2.0,
        treatment=Treatment(matched_level=True),
        metadata=_played(request, ring),
        sound_wanted=wants_sound(request),
    )
