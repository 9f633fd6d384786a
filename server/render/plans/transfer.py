"""Style transfer (SDEdit, arXiv:2108.01073): noise is added to a clip and denoised to a prompt.

``strength`` is the fraction of the steps that are run. 0 runs none and returns the clip's own
samples. 1 starts from noise alone, as text to audio does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from server.audio.clip import Clip
from server.audio.metadata.carried import Metadata
from server.audio.metadata.points import Move
from server.audio.seam import ring_seam_db
from server.audio.waveform import Waveform
from server.errors import InvalidRequest
from server.model.noise import mixed_noise, same_noise
from server.model.schedule import Latents
from server.render.channels import Channels
from server.render.conditioning import condition, notation_of, unconditional, wants_sound
from server.render.plan import Finished, Plan, RenderContext, plan
from server.render.plans.sound import one_shot, ring_of, take_windows
from server.render.windows import Windows
from server.requests.new_sound import MAX_SECONDS
from server.requests.resolved import ResolvedTransfer

__all__: list[str] = []

_LONGEST_S: Final = MAX_SECONDS
_SILENCE_DB: Final = -100.0


@plan.register
def _(request: ResolvedTransfer, context: RenderContext) -> Plan:
    clip = context.clips(request.clip).checked()
    if clip.waveform.seconds > _LONGEST_S:
        raise InvalidRequest(
            f"{request.clip} is {clip.waveform.seconds:.0f} s long; "
            f"at most {_LONGEST_S:.0f} s are transferred at once"
        )
    windows = take_windows(context.manifest, clip.waveform.seconds, request.loop)
    if request.strength == 0.0:
        return _untouched(request, context, clip, windows)
    channels = Channels.of(clip.waveform, context.manifest.sample_rate)
    wanted = condition(request, context, own=clip.waveform)

    def finish(latents: Latents) -> Finished:
        return _finish(request, context, clip, channels, latents)

    return Plan(
        settings=request,
        windows=windows,
        condition=np.repeat(wanted[None], len(windows), axis=0),
        unconditional=unconditional(request, context),
        noise=mixed_noise(
            context.manifest.latent, [(windows.total, channels.mixing(len(channels)))]
        ),
        finish=finish,
        target=wanted,
        start=None if request.strength == 1.0 else _start(context, channels, windows),
        strength=request.strength,
        notation=notation_of(request),
    )


def _start(context: RenderContext, channels: Channels, windows: Windows) -> Latents:
    """The clip's latent; a loop is stretched to whole latent frames and stays a loop."""
    hop = context.manifest.samples_per_latent_frame
    if windows.circular:
        rings = [Waveform.mono(s, channels.sample_rate) for s in channels.samples]
        frames = windows.total * hop
        stretched = [
            ring.resample_ring(frames, channels.sample_rate).samples[:, 0] for ring in rings
        ]
        channels = replace(channels, samples=tuple(stretched))
    return channels.encode(context.autoencoder, windows.total * hop)


def _finish(
    request: ResolvedTransfer,
    context: RenderContext,
    clip: Clip,
    channels: Channels,
    latents: Latents,
) -> Finished:
    seconds, own_rate = clip.waveform.seconds, clip.waveform.sample_rate
    render = ring_of if request.loop else one_shot
    sound = render(context, latents, seconds, request.delivery.sample_rate or own_rate)
    sound = _at_level(channels.widened(sound), clip.waveform, 1.0 - request.strength)
    clip_db = clip.waveform.rms_db
    return Finished(
        sound,
        clip.file_format,
        {"seam_db": ring_seam_db(sound)} if request.loop else {},
        circular=request.loop,
        metadata=_metadata(clip, sound),
        sound_wanted=wants_sound(request, clip_db) and (request.strength == 1.0 or clip_db > -60.0),
    )


def _metadata(clip: Clip, sound: Waveform) -> Metadata:
    """What came with the clip, at the rate of ``sound``."""
    ratio = sound.sample_rate / clip.waveform.sample_rate
    move = Move(ratio=ratio, frames=sound.frames)
    return clip.metadata if ratio == 1.0 else clip.metadata.moved(move)


def _at_level(sound: Waveform, clip: Waveform, share: float) -> Waveform:
    """Move the level of ``sound`` by ``share`` of the way, in decibels, to that of ``clip``."""
    if not share or min(sound.rms_db, clip.rms_db) < _SILENCE_DB:
        return sound
    gain = 10.0 ** (share * (clip.rms_db - sound.rms_db) / 20.0)
    return sound.with_samples(sound.samples * np.float32(gain))


def _untouched(
    request: ResolvedTransfer, context: RenderContext, clip: Clip, windows: Windows
) -> Plan:
    frames = context.manifest.latent.time_multiple
    noise = same_noise(context.manifest.latent, frames)
    nothing = context.text.unconditional()
    return Plan(
        settings=request,
        windows=Windows.over(frames, frames),
        condition=nothing[None],
        unconditional=nothing,
        noise=noise,
        finish=lambda latents: Finished(
            clip.waveform,
            clip.file_format,
            keeps_clip=True,
            circular=request.loop,
            exact=clip.exact,
            metadata=clip.metadata,
            new=(),
            sound_wanted=False,
        ),
        target=condition(request, context, own=clip.waveform),
        start=noise(0, 0),
        strength=0.0,
    )
