"""Noise that depends on a seed and nothing else.

Philox is counter-based: each (seed, stream) pair names one sequence, drawn on the host, so a
take sounds the same alone or in a batch, on every device, in every order. Frames come first in
the draw, so that a longer take with the same seed begins with the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from server.model.manifest import Latent
from server.model.schedule import Latents

__all__ = [
    "FIRST_STEP_STREAM",
    "GROUNDING_STREAM",
    "INITIAL_STREAM",
    "KNOWN_STREAM",
    "SEED_VARIATION_STREAM",
    "ChannelNoise",
    "Mixing",
    "NoiseSource",
    "draw",
    "generator",
    "Origin",
    "mixed_noise",
    "other_seeds",
    "same_noise",
    "shares",
    "slerp",
]

INITIAL_STREAM: Final = 0
SEED_VARIATION_STREAM: Final = 1
"""Choice of one training sound that the prompt may mean."""
_OTHER_SEEDS_STREAM: Final = 2
GROUNDING_STREAM: Final = 3
"""Choice of the sound that a take is grounded in."""
FIRST_STEP_STREAM: Final = 16
KNOWN_STREAM: Final = 2**16
"""Plus the step: fresh noise on the kept part of a clip."""
_SIDE_STREAM: Final = 2**32
"""Plus any other stream: the side signal, or once for each further channel of a clip."""


class Origin(NamedTuple):
    """The take that another one is a variation of."""

    seed: int
    distance: float
    """0: the same take, 1: another one."""
    before: Origin | None = None
    """The take that this one was a variation of itself."""


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


def shares(seed: int, origin: Origin | None) -> list[tuple[int, float]]:
    """Seeds whose independent noises are added, with weights whose squares add up to 1."""
    if origin is None:
        return [(seed, 1.0)]
    old, new = shares(origin.seed, origin.before), shares(seed, origin.before)
    if origin.distance in (0.0, 1.0):
        return new if origin.distance else old
    angle, total = 0.5 * math.pi * origin.distance, dict[int, float]()
    for parts, factor in ((old, math.cos(angle)), (new, math.sin(angle))):
        for one, weight in parts:
            total[one] = total.get(one, 0.0) + factor * weight
    norm = math.hypot(*total.values())
    return [(one, weight / norm) for one, weight in total.items()]


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


def slerp(a: Latents, b: Latents, share: float) -> Latents:
    """Interpolate spherically from ``a`` to ``b``; high-dimensional noise lies near a sphere."""
    cosine = float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    if angle < 1e-4 or share in (0.0, 1.0):
        return b if share == 1.0 else a
    scale = math.sin(angle)
    return (math.sin((1.0 - share) * angle) / scale) * a + (math.sin(share * angle) / scale) * b
