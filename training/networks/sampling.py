"""Sampling during training, as the engine does at its defaults, in torch."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

__all__ = ["SHIFT", "sample_flow", "shifted"]

SHIFT: Final = 3.0
"""Shift of the flow's steps; rated better than even steps, most of all with few steps."""


def shifted(fractions: Tensor) -> Tensor:
    """Times of even ``fractions`` under the shift (arXiv:2403.03206): more of them are noisy."""
    return SHIFT * fractions / (1.0 + (SHIFT - 1.0) * fractions)


@torch.no_grad()
def sample_flow(
    denoiser: nn.Module, conditions: Tensor, noise: Tensor, *, steps: int, guidance: float
) -> Tensor:
    """Latents [B, C, T, F] from ``noise`` by Euler steps with classifier-free guidance.

    ``conditions`` [B, D] are as the denoiser takes them, notation included.
    """
    latents, count = noise, len(noise)
    both = torch.cat((torch.zeros_like(conditions), conditions))
    times = shifted(torch.linspace(1.0, 0.0, steps + 1)).tolist()
    for time, following in pairwise(times):
        level = torch.full((2 * count,), time, device=noise.device)
        free, bound = denoiser(torch.cat((latents, latents)), level, both).chunk(2)
        latents = latents - (time - following) * (free + guidance * (bound - free))
    return latents
