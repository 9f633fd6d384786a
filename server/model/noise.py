"""Noise that depends on a seed and nothing else.

Philox is counter-based: each (seed, stream) pair names one sequence, drawn on the host, so a
take sounds the same alone or in a batch, on every device, in every order. Frames come first in
the draw, so that a longer take with the same seed begins with the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from server.model.manifest import Latent
from server.model.schedule import Latents

__all__ = [
    "FIRST_STEP_STREAM",
    "INITIAL_STREAM",
    "KNOWN_STREAM",
    "SEED_VARIATION_STREAM",
    "ChannelNoise",
    "NoiseSource",
    "draw",
    "generator",
    "same_noise",
    "slerp",
    "stereo_noise",
]

INITIAL_STREAM: Final = 0
SEED_VARIATION_STREAM: Final = 1
"""Choice of one training sound that the prompt may mean."""
FIRST_STEP_STREAM: Final = 16
KNOWN_STREAM: Final = 2**16
"""Plus the step: fresh noise on the kept part of a clip."""
_SIDE_STREAM: Final = 2**32
"""Plus any other stream: the side signal, by which left and right differ."""

NoiseSource = Callable[[int], Latents]
"""Fresh noise [B, C, T, F] for a step of the sampler."""
ChannelNoise = Callable[[int, int], Latents]
"""From a seed and a stream to noise [channels, C, T, F], one latent for each audio channel."""


def generator(seed: int, stream: int) -> np.random.Generator:
    """The random generator of one seed's ``stream``."""
    return np.random.Generator(np.random.Philox(key=[seed, stream]))


def draw(seed: int, stream: int, latent: Latent, frames: int) -> Latents:
    """Standard normal noise [channels, frames, mel_bins] of one seed's ``stream``."""
    drawn = generator(seed, stream).standard_normal(
        (frames, latent.mel_bins, latent.channels), np.float32
    )
    return np.ascontiguousarray(drawn.transpose(2, 0, 1))


def same_noise(latent: Latent, frames: int, channels: int = 1) -> ChannelNoise:
    """The same noise for all audio channels; they differ only by what they start from."""

    def noise(seed: int, stream: int) -> Latents:
        return np.repeat(draw(seed, stream, latent, frames)[None], channels, axis=0)

    return noise


def stereo_noise(latent: Latent, frames: int, width: float) -> ChannelNoise:
    """Noise for two channels that correlates by ``cos(width * pi / 2)``: 1 at 0, 0 at width 1."""
    mid, side = math.cos(width * math.pi / 4), math.sin(width * math.pi / 4)

    def noise(seed: int, stream: int) -> Latents:
        m = draw(seed, stream, latent, frames)
        s = draw(seed, stream + _SIDE_STREAM, latent, frames)
        return np.stack([mid * m + side * s, mid * m - side * s])

    return noise


def slerp(a: Latents, b: Latents, share: float) -> Latents:
    """Interpolate spherically from ``a`` to ``b``; high-dimensional noise lies near a sphere."""
    cosine = float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    if angle < 1e-4 or share in (0.0, 1.0):
        return b if share == 1.0 else a
    scale = math.sin(angle)
    return (math.sin((1.0 - share) * angle) / scale) * a + (math.sin(share * angle) / scale) * b
