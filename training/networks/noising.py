"""Mixing of noise into latents, and the denoiser's target: flow or epsilon."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, Literal

import torch
from torch import Tensor

__all__ = ["NOISINGS", "Epsilon", "Flow", "Noising"]


class Noising(ABC):
    """One of the manifest's kinds of prediction, in training."""

    @abstractmethod
    def draw_times(self, count: int, generator: torch.Generator) -> Tensor:
        """Timesteps [count] to train at, as the denoiser takes them."""

    @abstractmethod
    def times_at(self, fractions: Tensor) -> Tensor:
        """The timesteps that are ``fractions`` of the way to pure noise."""

    @abstractmethod
    def noised(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """``latents`` [B, C, T, F] with as much of ``noise`` as belongs to ``times``."""

    @abstractmethod
    def target(self, latents: Tensor, noise: Tensor) -> Tensor:
        """What the denoiser has to predict."""


class Flow(Noising):
    """Rectified flow: ``x_t = (1 - t) x_0 + t noise``, prediction ``noise - x_0``."""

    def draw_times(self, count: int, generator: torch.Generator) -> Tensor:
        """Logit-normal (arXiv:2403.03206) towards noise; a fifth uniform, for both ends."""
        normal = torch.randn(count, generator=generator, device=generator.device)
        uniform = torch.rand(count, generator=generator, device=generator.device)
        even = torch.rand(count, generator=generator, device=generator.device) < 0.2
        return torch.where(even, uniform, torch.sigmoid(normal + 0.8))

    def times_at(self, fractions: Tensor) -> Tensor:
        """t itself."""
        return fractions

    def noised(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """The point on the line."""
        level = times[:, None, None, None]
        return (1 - level) * latents + level * noise

    def target(self, latents: Tensor, noise: Tensor) -> Tensor:
        """The velocity."""
        return noise - latents


class Epsilon(Noising):
    """The DDPM of the paper: 1000 scaled-linear betas from 0.0015 to 0.0195, noise predicted."""

    def __init__(self) -> None:
        betas = torch.linspace(0.0015**0.5, 0.0195**0.5, 1000, dtype=torch.float64) ** 2
        self.alphas_cumprod = torch.cumprod(1.0 - betas, 0).float()

    def draw_times(self, count: int, generator: torch.Generator) -> Tensor:
        """Uniform over the 1000 steps."""
        device = generator.device
        return torch.randint(1000, (count,), generator=generator, device=device).float()

    def times_at(self, fractions: Tensor) -> Tensor:
        """The nearest of the 1000 steps."""
        return (fractions * 999.0).round()

    def noised(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Variance-preserving mixture."""
        kept = self.alphas_cumprod.to(times.device)[times.long()][:, None, None, None]
        return kept.sqrt() * latents + (1.0 - kept).sqrt() * noise

    def target(self, latents: Tensor, noise: Tensor) -> Tensor:
        """The noise."""
        return noise


NOISINGS: Final[dict[Literal["flow", "epsilon"], type[Noising]]] = {
    "flow": Flow,
    "epsilon": Epsilon,
}
