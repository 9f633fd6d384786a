"""The critic of stage ``adversarial``: small heads on the frozen features of the CLAP audio tower.

A projected discriminator (arXiv:2111.01007, as in StyleGAN-T, arXiv:2301.09515). The tower is
already trained, so that the heads converge within a few hundred batches. Each head takes the
features of one depth and the condition (projection, arXiv:1802.05637).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.clap import EMBEDDING, POOLED, AudioTower

__all__ = ["Critic", "Features", "hinge"]

Features = tuple[list[Tensor], Tensor]
"""Maps [B, channels, T, F] from fine to coarse, and the pooled vector [B, 1280]."""
MAP_WIDTH: Final = 48
POOLED_WIDTH: Final = 256


class _MapHead(nn.Module):
    """A logit for each place of one map."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, MAP_WIDTH, 1)
        self.around = nn.Conv2d(MAP_WIDTH, MAP_WIDTH, 3, padding=1, stride=stride)
        self.verdict = nn.Conv2d(MAP_WIDTH, 1, 1)
        self.wanted = _wanted(MAP_WIDTH)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        states = functional.leaky_relu(self.mix(_of_unit_power(features)), 0.2)
        states = functional.leaky_relu(self.around(states), 0.2)
        projection = (states * self.wanted(embedding)[:, :, None, None]).sum(1)
        places = self.verdict(states)[:, 0] + projection / math.sqrt(MAP_WIDTH)
        return places.flatten(1)


class _PooledHead(nn.Module):
    """One logit for the whole clip."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(POOLED, POOLED_WIDTH)
        self.second = nn.Linear(POOLED_WIDTH, POOLED_WIDTH)
        self.verdict = nn.Linear(POOLED_WIDTH, 1)
        self.wanted = _wanted(POOLED_WIDTH)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        states = functional.leaky_relu(self.first(_of_unit_power(features)), 0.2)
        states = functional.leaky_relu(self.second(states), 0.2)
        projection = (states * self.wanted(embedding)).sum(1, keepdim=True)
        return self.verdict(states) + projection / math.sqrt(POOLED_WIDTH)


class Critic(nn.Module):
    """Logits for features of sounds under a condition: high for real sounds."""

    def __init__(self, tower: AudioTower) -> None:
        super().__init__()
        with torch.no_grad():
            maps, _ = tower.features(torch.zeros(1, 256, 64))
        # Without the finest map, whose head takes six times as long as the next one's.
        widths = [item.shape[1] for item in maps[1:]]
        self.maps = nn.ModuleList(
            _MapHead(width, stride=1 if depth else 2) for depth, width in enumerate(widths)
        )
        self.pooled = _PooledHead()

    def forward(self, features: Features, embedding: Tensor) -> list[Tensor]:
        """Logits [B, places] of each head; ``embedding`` [B, 512] has unit length."""
        maps, pooled = features
        wanted = embedding * math.sqrt(EMBEDDING)
        logits = [head(item, wanted) for head, item in zip(self.maps, maps[1:], strict=True)]
        return [*logits, self.pooled(pooled, wanted)]

    def on_pooled(self, features: Features, embedding: Tensor) -> Tensor:
        """The logit [B, 1] of the head for the whole clip."""
        return self.pooled(features[1], embedding * math.sqrt(EMBEDDING))


def hinge(real: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """The critic's loss (arXiv:1705.02894), summed over the heads."""
    losses = [
        functional.relu(1.0 - right).mean() + functional.relu(1.0 + wrong).mean()
        for right, wrong in zip(real, made, strict=True)
    ]
    return torch.stack(losses).sum()


def _wanted(width: int) -> nn.Linear:
    linear = nn.Linear(EMBEDDING, width, bias=False)
    nn.init.normal_(linear.weight, std=0.02)
    return linear


def _of_unit_power(features: Tensor) -> Tensor:
    others = tuple(range(1, features.ndim))
    return features * torch.rsqrt(features.square().mean(others, keepdim=True) + 1e-4)
