"""Noise that depends on a seed and nothing else.

Philox is counter-based: each (seed, stream) pair names one sequence, drawn on the host, so a
take sounds the same alone or in a batch, on every device, in every order. Frames come first in
the draw, so that a longer take with the same seed begins with the same noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from server.manifest import Latent
from server.schedule import Latents

__all__ = ["FIRST_STEP_STREAM", "NoiseSource", "batch_noise", "draw"]

INITIAL_STREAM = 0
FIRST_STEP_STREAM = 16
"""Streams 1 to 15 are for the jobs' own use (known regions, stereo side, variations)."""

NoiseSource = Callable[[int], Latents]
"""Fresh noise [B, C, T, F] for a step of the sampler."""


def draw(seed: int, stream: int, latent: Latent, frames: int) -> Latents:
    """Standard normal noise [channels, frames, mel_bins] of one seed's ``stream``."""
    generator = np.random.Generator(np.random.Philox(key=[seed, stream]))
    drawn = generator.standard_normal((frames, latent.mel_bins, latent.channels), np.float32)
    return np.ascontiguousarray(drawn.transpose(2, 0, 1))


def batch_noise(seeds: Sequence[int], stream: int, latent: Latent, frames: int) -> Latents:
    """The same ``stream`` of several seeds, [len(seeds), channels, frames, mel_bins]."""
    return np.stack([draw(seed, stream, latent, frames) for seed in seeds])
