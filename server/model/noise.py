"""Noise that depends on a seed and nothing else.

Philox is counter-based: each (seed, stream) pair names one sequence, drawn on the host, so a
take sounds the same alone or in a batch, on every device, in every order. Frames come first in
the draw, so that a longer take with the same seed begins with the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from server.model.manifest import Latent
from server.model.schedule import Latents

__all__ = [
    "FIRST_STEP_STREAM",
    "INITIAL_STREAM",
    "KNOWN_STREAM",
    "SEED_VARIATION_STREAM",
    "ChannelNoise",
    "Mixing",
    "NoiseSource",
    "draw",
    "generator",
    "mixed_noise",
    "other_seeds",
    "same_noise",
    "slerp",
    "stereo_noise",
]

INITIAL_STREAM: Final = 0
SEED_VARIATION_STREAM: Final = 1
"""Choice of one training sound that the prompt may mean."""
_OTHER_SEEDS_STREAM: Final = 2
FIRST_STEP_STREAM: Final = 16
KNOWN_STREAM: Final = 2**16
"""Plus the step: fresh noise on the kept part of a clip."""
_SIDE_STREAM: Final = 2**32
"""Plus any other stream: the side signal, or once for each further channel of a clip."""

NoiseSource = Callable[[int], Latents]
"""Fresh noise [B, C, T, F] for a step of the sampler."""
Mixing = npt.NDArray[np.float32]
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


def other_seeds(seed: int, count: int) -> list[int]:
    """``count`` further seeds that follow from ``seed`` alone; each fits a float32."""
    drawn = generator(seed, _OTHER_SEEDS_STREAM).integers(0, 2**24, count)
    return [int(other) for other in drawn]


def same_noise(latent: Latent, frames: int, channels: int = 1) -> ChannelNoise:
    """The same noise for all audio channels; they differ only by what they start from."""

    def noise(seed: int, stream: int) -> Latents:
        return np.repeat(draw(seed, stream, latent, frames)[None], channels, axis=0)

    return noise


def mixed_noise(latent: Latent, parts: Sequence[tuple[int, Mixing]]) -> ChannelNoise:
    """Noise whose audio channels correlate as the sound of each part does.

    Args:
        latent: shape of the latent.
        parts: for each part in time, its latent frames and a mixing matrix [channels, channels],
            by which independent noise becomes that of the channels.
    """
    frames, channels = sum(length for length, _ in parts), len(parts[0][1])
    if channels == 1:
        return same_noise(latent, frames)
    places = np.cumsum([0, *(length for length, _ in parts)])

    def noise(seed: int, stream: int) -> Latents:
        drawn = [draw(seed, stream + k * _SIDE_STREAM, latent, frames) for k in range(channels)]
        own, mixed = np.stack(drawn), np.empty((channels, *drawn[0].shape), np.float32)
        for place, (length, mixing) in zip(places, parts, strict=False):
            part = slice(place, place + length)
            mixed[:, :, part] = np.tensordot(mixing, own[:, :, part], axes=1)
        return mixed

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
