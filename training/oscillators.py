"""Sinusoids from cells by one matrix product and overlap-add.

In each frame a partial is ``A cos(2 pi f t + phase)`` under a Hann window of two hops, as in
E. B. George and M. J. T. Smith's overlap-add sinusoidal model (JAES 40, 1992). What a partial's
frequency is off the centre of its cell is a polynomial in time of third degree, so that the basis
is fixed: cosine and sine at the centre, times powers of time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.cells import cell_centres, cell_widths
from training.mel import HOP_LENGTH, SAMPLE_RATE

__all__ = ["Oscillators"]


class Oscillators(nn.Module):
    """``amplitude, phase, offset [B, M, K] -> waveform [B, 160 M]``; the phase in cycles."""

    def __init__(self) -> None:
        super().__init__()
        time = torch.arange(HOP_LENGTH).double()
        angle = 2.0 * math.pi / SAMPLE_RATE * cell_centres().double()[:, None] * time
        window = 0.5 + 0.5 * torch.cos(time * (math.pi / HOP_LENGTH))
        cosine, sine = torch.cos(angle) * window, torch.sin(angle) * window
        powers = [(time / HOP_LENGTH) ** order for order in range(4)]
        even = (cosine, cosine * powers[2], sine * powers[1], sine * powers[3])
        odd = (sine, sine * powers[2], cosine * powers[1], cosine * powers[3])
        self.register_buffer("even", torch.cat(even).float(), persistent=False)
        self.register_buffer("odd", torch.cat(odd).float(), persistent=False)
        radians = 2.0 * math.pi * HOP_LENGTH / SAMPLE_RATE * cell_widths()
        self.register_buffer("radians", radians, persistent=False)

    def forward(self, amplitude: Tensor, phase: Tensor, offset: Tensor) -> Tensor:
        """The sum of all partials."""
        angle = phase * (2.0 * math.pi)
        cosine, sine = amplitude * torch.cos(angle), amplitude * torch.sin(angle)
        turn = offset * self.radians
        square, cube = -0.5 * turn * turn, turn * turn * turn / -6.0
        # cos(a + x) = cos a cos x - sin a sin x, x = turn * time; likewise for the carrier.
        even = (cosine, cosine * square, -cosine * turn, -cosine * cube)
        odd = (-sine, -sine * square, -sine * turn, -sine * cube)
        after = torch.matmul(torch.cat(even, dim=2), self.even)
        before = torch.matmul(torch.cat(odd, dim=2), self.odd)
        return self._added(after - before, after + before)

    def _added(self, left: Tensor, right: Tensor) -> Tensor:
        """Halves of frames, the left one running backwards from its centre, added up."""
        left = functional.pad(torch.flip(left[..., 1:], (-1,)), (1, 0))
        summed = functional.pad(right, (0, 0, 1, 0)) + functional.pad(left, (0, 0, 0, 1))
        half = HOP_LENGTH // 2
        return summed.flatten(1)[:, half:-half]
