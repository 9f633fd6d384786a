"""The network behind the upper band: ConvNeXt blocks over time, as in Vocos (arXiv:2306.00814).

It predicts no waveform. One head gives the power of each band above 7.5 kHz, the other how much
of it are overtones and how much is noise. :mod:`server.fullband.synthesis` makes the sound.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from server.fullband.analysis import FRAMES_A_STEP, NUM_BANDS, NUM_FEATURES

__all__ = ["UpperBandNetwork"]

DILATIONS: Final = (1, 2, 4, 1, 2, 4, 1, 2)
TEXTURE_WIDTH: Final = 96


class _Block(nn.Module):
    def __init__(self, width: int, dilation: int = 1, expansion: int = 2) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            width, width, 7, padding=3 * dilation, dilation=dilation, groups=width
        )
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)
        self.gain = nn.Parameter(torch.full((width,), 0.3))

    def forward(self, states: Tensor) -> Tensor:
        inner = self.norm(self.depthwise(states.transpose(1, 2)).transpose(1, 2))
        return states + self.down(functional.gelu(self.up(inner))) * self.gain


class UpperBandNetwork(nn.Module):
    """``features [B, T, 79] -> log power [B, T, 26] and logit of the overtones' share``.

    The power is relative to the reference, the last feature. T is a multiple of four: four frames
    are one step.
    """

    LOG_POWER_SCALE: Final = 3.0

    def __init__(self, width: int = 192) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(NUM_FEATURES))
        self.register_buffer("spread", torch.ones(NUM_FEATURES))
        self.stem = nn.Linear(FRAMES_A_STEP * NUM_FEATURES, width)
        self.trunk = nn.Sequential(*(_Block(width, dilation) for dilation in DILATIONS))
        self.norm = nn.LayerNorm(width)
        self.envelope = nn.Linear(width, FRAMES_A_STEP * NUM_BANDS)
        self.texture = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, TEXTURE_WIDTH),
            _Block(TEXTURE_WIDTH),
            nn.LayerNorm(TEXTURE_WIDTH),
            nn.Linear(TEXTURE_WIDTH, FRAMES_A_STEP * NUM_BANDS),
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Relative log power of each band, and the logit of its overtones' share."""
        states = self.states(features)
        return self.log_power(states), self.logit(states)

    def states(self, features: Tensor) -> Tensor:
        """What both heads read, [B, T / 4, width]."""
        scaled = (features - self.mean) / self.spread
        folded = scaled.reshape(scaled.shape[0], -1, FRAMES_A_STEP * NUM_FEATURES)
        return self.trunk(self.stem(folded))

    def log_power(self, states: Tensor) -> Tensor:
        """The regressed head, [B, T, 26]."""
        power = self.LOG_POWER_SCALE * self.envelope(self.norm(states)) - 4.0
        return power.reshape(states.shape[0], -1, NUM_BANDS)

    def logit(self, states: Tensor) -> Tensor:
        """The adversarial head, [B, T, 26]; the trunk does not learn from it."""
        return self.texture(states.detach()).reshape(states.shape[0], -1, NUM_BANDS)
