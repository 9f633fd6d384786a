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
    "LaneNoise",
    "NUANCE_STREAM",
    "NoiseSource",
    "draw",
    "generator",
    "lanes_alike",
    "lanes_apart",
    "slerp",
]

INITIAL_STREAM: Final = 0
NUANCE_STREAM: Final = 1
"""Which of the sounds that the words may mean."""
FIRST_STEP_STREAM: Final = 16
KNOWN_STREAM: Final = 2**16
"""Plus the step: fresh noise on what is known of a clip."""
_SIDE_STREAM: Final = 2**32
"""Plus any other stream: what makes the right channel differ from the left."""

NoiseSource = Callable[[int], Latents]
"""Fresh noise [B, C, T, F] for a step of the sampler."""
LaneNoise = Callable[[int, int], Latents]
"""The noise [lanes, C, T, F] of a seed's stream; a lane is a channel that is rendered."""


def generator(seed: int, stream: int) -> np.random.Generator:
    """The random numbers of one seed's ``stream``."""
    return np.random.Generator(np.random.Philox(key=[seed, stream]))


def draw(seed: int, stream: int, latent: Latent, frames: int) -> Latents:
    """Standard normal noise [channels, frames, mel_bins] of one seed's ``stream``."""
    drawn = generator(seed, stream).standard_normal(
        (frames, latent.mel_bins, latent.channels), np.float32
    )
    return np.ascontiguousarray(drawn.transpose(2, 0, 1))


def lanes_alike(latent: Latent, frames: int, lanes: int = 1) -> LaneNoise:
    """All lanes get the same noise: they differ only by what they start from."""

    def noise(seed: int, stream: int) -> Latents:
        return np.repeat(draw(seed, stream, latent, frames)[None], lanes, axis=0)

    return noise


def lanes_apart(latent: Latent, frames: int, width: float) -> LaneNoise:
    """Two lanes whose noise correlates by ``cos(width * pi / 2)``: 1 at width 0, 0 at width 1."""
    middle, side = math.cos(width * math.pi / 4), math.sin(width * math.pi / 4)

    def noise(seed: int, stream: int) -> Latents:
        m = draw(seed, stream, latent, frames)
        s = draw(seed, stream + _SIDE_STREAM, latent, frames)
        return np.stack([middle * m + side * s, middle * m - side * s])

    return noise


def slerp(a: Latents, b: Latents, share: float) -> Latents:
    """From ``a`` to ``b`` along the sphere, on which high-dimensional normal noise lies."""
    cosine = float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    if angle < 1e-4 or share in (0.0, 1.0):
        return b if share == 1.0 else a
    scale = math.sin(angle)
    return (math.sin((1.0 - share) * angle) / scale) * a + (math.sin(share * angle) / scale) * b
