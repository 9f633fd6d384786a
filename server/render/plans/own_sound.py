"""Sounds of the user as starting points: what the VAE makes of a whole clip."""

from __future__ import annotations

import numpy as np

from server.audio.clip import Clip
from server.audio.waveform import Samples, Waveform
from server.errors import InvalidRequest
from server.model.schedule import Latents
from server.render.channels import Channels
from server.render.plan import RenderContext

__all__ = ["encoded", "goes_on", "heard_clip"]

_SILENCE_DB = -100.0
_DECAY_DB = 20.0
"""A sound has ended where its last quarter is this far below its loudest."""


def heard_clip(name: str, field: str, context: RenderContext) -> Clip:
    """The clip called ``name``.

    Raises:
        UnreadableAudio: it cannot be read.
        InvalidRequest: it is silent.
    """
    clip = context.clips(name).checked()
    if clip.waveform.rms_db <= _SILENCE_DB:
        raise InvalidRequest(f"{field} {name} is silent; name a sound")
    return clip


def encoded(sound: Waveform, frames: int, context: RenderContext, *, ring: bool = False) -> Latents:
    """The latent [C, frames, F] of the mono sum of ``sound``, cut or followed by silence.

    Args:
        sound: of any length, level and rate.
        frames: latent frames.
        context: the model.
        ring: it is a loop, which is stretched instead.
    """
    rate, samples = context.manifest.sample_rate, frames * context.manifest.samples_per_latent_frame
    mono = Waveform.mono(sound.downmix(), sound.sample_rate)
    channels = Channels.of(mono, rate)
    whole = channels.samples[0]
    if ring:
        whole = Waveform.mono(whole, rate).resample_ring(samples, rate).samples[:, 0]
    kept = whole[:samples]
    return context.autoencoder.encode(np.pad(kept, (0, samples - len(kept))))


def goes_on(samples: Samples) -> bool:
    """False for a sound that has decayed at its end, as a hit does."""
    levels = [float(np.sqrt(np.mean(np.square(part)))) for part in np.array_split(samples, 4)]
    return bool(levels[-1] > max(levels) * 10.0 ** (-_DECAY_DB / 20.0))
