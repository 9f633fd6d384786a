"""The grain of a sound: a critic of small patches of the log-mel, and statistics of its texture.

The critic on CLAP's features (:mod:`training.networks.critic`) hears what a sound is, and lets
pass a sound that is too smooth. This one sees a quarter of a second and a third of the bands at a
time (a patch discriminator, arXiv:1611.07004), without the condition. The statistics are those by
which textures are told apart in hearing (J. McDermott and E. Simoncelli, Neuron 71, 2011).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.autoencoder import CENTRE, SPREAD
from training.networks.mel import NUM_MELS

__all__ = ["GrainCritic", "texture_distance"]

WIDTHS: Final = (32, 48, 64)


class GrainCritic(nn.Module):
    """``log_mel [B, M, 64] -> logits [B, places]``: high for patches of real sounds.

    A patch is 24 frames long and 24 bands high.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.bands = nn.Parameter(torch.zeros(1, first, 1, NUM_MELS))
        self.stem = nn.Conv2d(2, first, 3, padding=1)
        self.coarser = nn.Conv2d(first, second, 4, stride=2, padding=1)
        self.coarsest = nn.Conv2d(second, third, 4, stride=2, padding=1)
        self.verdict = nn.Conv2d(third, 1, 3, padding=1)

    def forward(self, log_mel: Tensor) -> Tensor:
        """A logit for each place, a patch every four frames and four bands."""
        picture = ((log_mel - CENTRE) / SPREAD)[:, None]
        detail = picture - functional.avg_pool2d(picture, 5, 1, 2, count_include_pad=False)
        states = self.stem(torch.cat((picture, 4.0 * detail), dim=1)) + self.bands
        for layer in (self.coarser, self.coarsest, self.verdict):
            states = layer(_of_unit_power(functional.leaky_relu(states, 0.2)))
        return states.flatten(1)


def _of_unit_power(states: Tensor) -> Tensor:
    return states * torch.rsqrt(states.square().mean(1, keepdim=True) + 1e-4)


def texture_distance(made: Tensor, real: Tensor) -> Tensor:
    """Mean distance of the texture of log-mels ``[B, M, 64]``, in nepers; a scalar.

    Compared are means over time: of the change from frame to frame in each band, and of that
    between each band and the next. When a change happens does not matter.
    """
    return torch.stack(
        [
            (made.diff(dim=axis).abs().mean(1) - real.diff(dim=axis).abs().mean(1)).abs().mean()
            for axis in (1, 2)
        ]
    ).mean()
