"""The trunk of both networks of the vocoder: ConvNeXt blocks at the mel's frame rate.

Z. Liu et al., "A ConvNet for the 2020s" (arXiv:2201.03545), in one dimension as Vocos has it
(arXiv:2306.00814).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.mel import NUM_MELS

__all__ = ["ConvNeXtBlock", "Trunk"]

CENTRE: Final = -5.0
SPREAD: Final = 4.0
KERNEL: Final = 7


class ConvNeXtBlock(nn.Module):
    """``states [B, W, M] -> states [B, W, M]``."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)
        self.gain = nn.Parameter(torch.full((width,), 0.15))

    def forward(self, states: Tensor) -> Tensor:
        """The states and what the block adds to them."""
        inner = self.norm(self.depthwise(states).transpose(1, 2))
        inner = self.down(functional.gelu(self.up(inner))) * self.gain
        return states + inner.transpose(1, 2)


class Trunk(nn.Module):
    """``features [B, M, num_inputs] -> outputs [B, M, num_outputs]``.

    The features are log-mels or alike, and standardised here.
    """

    def __init__(
        self, width: int, depth: int, expansion: int, num_outputs: int, num_inputs: int = NUM_MELS
    ) -> None:
        super().__init__()
        self.stem = nn.Conv1d(num_inputs, width, KERNEL, padding=KERNEL // 2)
        self.stem_norm = nn.LayerNorm(width)
        self.blocks = nn.Sequential(*(ConvNeXtBlock(width, expansion) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_outputs)

    def forward(self, features: Tensor) -> Tensor:
        """The outputs of every frame."""
        states = self.stem(((features - CENTRE) / SPREAD).transpose(1, 2))
        states = self.stem_norm(states.transpose(1, 2)).transpose(1, 2)
        return self.head(self.norm(self.blocks(states).transpose(1, 2)))
