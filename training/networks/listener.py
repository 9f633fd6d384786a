"""The listener: a small audio tower that ranks candidates by their log-mels."""

from __future__ import annotations

import copy
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.networks.clap import EMBEDDING

__all__ = ["RANGE", "ListenerNetwork"]


WIDTHS: Final = (16, 40, 80, 128)
BANDS: Final = 64 // 2 ** len(WIDTHS)
COLUMNS: Final = 160
BOTTLENECK: Final = 128
RANGE: Final = 10.0
"""Dynamic range below the loudest cell, in natural-log units: 87 dB."""


class _Block(nn.Module):
    """Two 3x3 convolutions with a skip, halving both axes first."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.shorten = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1)
        self.norm: nn.Module = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2: nn.Module = nn.BatchNorm2d(channels)

    def forward(self, states: Tensor) -> Tensor:
        states = functional.relu(self.norm(self.shorten(states)))
        return functional.relu(states + self.norm2(self.conv(states)))

    def fold(self) -> None:
        """Fold the normalisations into the convolutions."""
        self.shorten = fuse_conv_bn_eval(self.shorten, self.norm)
        self.conv = fuse_conv_bn_eval(self.conv, self.norm2)
        self.norm, self.norm2 = nn.Identity(), nn.Identity()


class ListenerNetwork(nn.Module):
    """``log_mel [B, M, 64] -> embedding [B, 512]`` of unit length, whatever the level."""

    height: Tensor

    def __init__(self) -> None:
        super().__init__()
        pairs = zip((2, *WIDTHS), WIDTHS, strict=False)
        self.blocks = nn.Sequential(*(_Block(*pair) for pair in pairs))
        self.over_frequency = nn.Conv2d(WIDTHS[-1], COLUMNS, (1, BANDS))
        self.head = nn.Sequential(
            nn.Linear(2 * COLUMNS, BOTTLENECK), nn.Linear(BOTTLENECK, EMBEDDING)
        )
        # Convolutions are shift-invariant; this input gives them the position in the spectrum.
        self.register_buffer("height", torch.linspace(-1.0, 1.0, 64), persistent=False)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Embedding of each clip."""
        return self.embedding(self.pooled(log_mel))

    def folded(self) -> ListenerNetwork:
        """The network without normalisations, in eval mode, for the model folder."""
        plain = copy.deepcopy(self).eval()
        for block in plain.blocks:
            block.fold()
        return plain

    def pooled(self, log_mel: Tensor) -> Tensor:
        """Mean and peak of each column over time, [B, 320]."""
        loudest = log_mel.amax((1, 2), keepdim=True)
        picture = (log_mel - loudest).clamp(min=-RANGE) / (RANGE / 2) + 1.0
        states = self.blocks(torch.stack((picture, self.height.expand_as(picture)), dim=1))
        columns = functional.relu(self.over_frequency(states)).flatten(2)
        return torch.cat((columns.mean(2), columns.amax(2)), dim=1)

    def embedding(self, pooled: Tensor) -> Tensor:
        """Embeddings [B, 512] of pooled columns."""
        return functional.normalize(self.head(pooled), dim=-1)
