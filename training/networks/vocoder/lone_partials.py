"""What a cell holds if there is one partial in the mel bands around it: a closed form.

Triangles that sum to 1 interpolate linearly, and linear interpolation reproduces a straight line:
the centroid of the band centres, weighted by what the bands hold, is the centroid of the spectrum
under them. That of one partial is its frequency, and their sum its amplitude. Networks find
such quotients hard; from here they only have to learn what more than one partial does.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from server.model.mel import corners_hz
from training.networks.mel import N_FFT, NUM_MELS, SAMPLE_RATE, mel_filters
from training.networks.vocoder.cells import cell_centres, cell_widths, hann_response

__all__ = ["Lone", "LonePartials"]

BANDS: Final = 4
"""Bands around a cell that one partial reaches into."""
FURTHEST: Final = 2.0
"""Cell widths from the centre at which offsets are cut off."""
EDGE: Final = 1.0
"""Cell widths up to which the amplitude falls off as in a Hann window."""


class Lone(NamedTuple):
    """Each ``[B, M, NUM_CELLS]``."""

    offset: Tensor
    """Of a lone partial, in cell widths from the centre."""
    amplitude: Tensor
    """Its log-amplitude as the cell sees it."""
    level: Tensor
    """Log-amplitude of the two bands the cell lies between: what noise would have."""
    excess: Tensor
    """Variance of the spectrum beyond that of one partial, in squared band distances."""


class LonePartials(nn.Module):
    """``log_mel [B, M, 64] -> Lone``. No weights.

    ``of_bands`` [64] is the cell nearest to the centre of each band.
    """

    of_bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        edges = torch.from_numpy(corners_hz(NUM_MELS, 0.0, SAMPLE_RATE / 2))
        centres, cells = edges[1:-1], cell_centres().double()
        first = (torch.searchsorted(centres, cells) - BANDS // 2).clamp(0, NUM_MELS - BANDS)
        bands = torch.arange(NUM_MELS)[:, None]
        spacing = (centres[1:] - centres[:-1])[(first + 1).clamp(max=NUM_MELS - 2)]
        near = ((bands >= first) & (bands < first + BANDS)).double()
        distance = (centres[:, None] - cells) / cell_widths()
        self.register_buffer("near", near.float(), persistent=False)
        self.register_buffer("moments", (near * distance).float(), persistent=False)
        self.register_buffer("squares", (near * distance.square()).float(), persistent=False)
        self.register_buffer(
            "spacing", (spacing / cell_widths()).square().float(), persistent=False
        )
        of_bands = (cells - centres[:, None]).abs().argmin(1)
        self.register_buffer("of_bands", of_bands, persistent=False)
        # A triangle is 2 / (end - begin) high; a partial of amplitude 1 sums to N_FFT / 2.
        scale = torch.log((edges[2:] - edges[:-2]) / N_FFT).float()
        self.register_buffer("scale", scale, persistent=False)
        place = torch.searchsorted(centres, cells).clamp(1, NUM_MELS - 1)
        share = ((cells - centres[place - 1]) / (centres[place] - centres[place - 1])).clamp(0, 1)
        between = (1.0 - share) * (bands == place - 1) + share * (bands == place)
        self.register_buffer("between", between.float(), persistent=False)
        self.register_buffer("usual", self._spread(_held_alone())[2].diagonal(), persistent=False)

    def forward(self, log_mel: Tensor) -> Lone:
        """What the bands around each cell say."""
        scaled = log_mel + self.scale
        amplitude, offset, spread = self._spread(torch.exp(scaled))
        response = hann_response(torch.clamp(offset, -EDGE, EDGE))
        return Lone(
            torch.clamp(offset, -FURTHEST, FURTHEST),
            torch.log(amplitude * response),
            torch.matmul(scaled, self.between),
            torch.clamp((spread - self.usual) / self.spacing, -1.0, 2.0),
        )

    def _spread(self, held: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sum, centroid and variance of what the bands around each cell hold."""
        amplitude = torch.matmul(held, self.near) + 1e-9
        offset = torch.matmul(held, self.moments) / amplitude
        return amplitude, offset, torch.matmul(held, self.squares) / amplitude - offset * offset


def _held_alone() -> Tensor:
    """What the bands hold of a sinusoid in the centre of each cell, ``[NUM_CELLS, 64]``."""
    time = torch.arange(N_FFT).double() / SAMPLE_RATE
    waves = torch.cos(2.0 * math.pi * cell_centres().double()[:, None] * time)
    window = torch.hann_window(N_FFT, dtype=torch.float64)
    magnitude = torch.fft.rfft(waves * window).abs()
    filters = mel_filters().double()
    return torch.matmul(magnitude, (filters / filters.amax(1, keepdim=True)).T).float()
