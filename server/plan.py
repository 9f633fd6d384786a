"""From a request to what the denoising run needs: every kind of job differs here and only here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Protocol

import numpy as np

from server.denoise import Windows
from server.manifest import Manifest
from server.noise import INITIAL_STREAM, draw
from server.request import Request, TextToAudio
from server.schedule import Latents
from server.text import Embedding, TextEncoder

__all__ = ["Plan", "Studio", "plan"]


class Studio(Protocol):
    """What a plan may use of the model."""

    manifest: Manifest
    text: TextEncoder


@dataclass(frozen=True)
class Plan:
    """One job, as the denoising run sees it."""

    samples: int
    """Length of the result at the model's sample rate."""
    windows: Windows
    condition: Embedding
    """One embedding a window, [W, D]."""
    unconditional: Embedding
    """What guidance leads away from, [D]."""
    noise: Callable[[int], Latents]
    """A seed's initial noise, [C, T, F]."""


@singledispatch
def plan(request: Request, studio: Studio) -> Plan:
    """The plan of a resolved request."""
    raise TypeError(f"no plan for {type(request).__name__}")


@plan.register
def _(request: TextToAudio, studio: Studio) -> Plan:
    manifest = studio.manifest
    seconds = request.audio_length_in_s or manifest.defaults.audio_length_in_s
    frames = manifest.latent_frames(seconds)
    window = manifest.latent_frames(manifest.defaults.max_audio_length_in_s)
    windows = Windows.over(frames, window)
    negative = request.negative_prompt
    return Plan(
        samples=round(seconds * manifest.sample_rate),
        windows=windows,
        condition=np.repeat(studio.text(request.prompt)[None], len(windows), axis=0),
        unconditional=studio.text(negative) if negative else studio.text.unconditional(),
        noise=lambda seed: draw(seed, INITIAL_STREAM, manifest.latent, frames),
    )
