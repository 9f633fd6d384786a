"""Sinusoids from cells by two matrix products and overlap-add.

In each frame a partial is ``A cos(2 pi f t + phase)`` under a Hann window of two hops, as in
E. B. George and M. J. T. Smith's overlap-add sinusoidal model (JAES 40, 1992). What a partial's
frequency is off the centre of its cell is a polynomial in time of third degree, so that the basis
is fixed: cosine and sine at the centre, times powers of time. Even and odd functions of time are
summed apart, each over one half of the frame.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.mel import HOP_LENGTH, SAMPLE_RATE
from training.networks.vocoder.cells import FINE, cell_centres, cell_widths

__all__ = ["Oscillators"]

TABLE: Final = FINE[0]
"""Samples of the cosine in which all centres are whole harmonics."""


class Oscillators(nn.Module):
    """``amplitude, phase, offset [B, M, K] -> waveform [B, 160 M]``; the phase in cycles.

    The basis is looked up in one period of a cosine inside the graph, which ONNX Runtime folds
    when it loads it.
    """

    def __init__(self) -> None:
        super().__init__()
        time = torch.arange(HOP_LENGTH).double()
        window = 0.5 + 0.5 * torch.cos(time * (math.pi / HOP_LENGTH))
        powers = [window * (time / HOP_LENGTH) ** order for order in range(4)]
        self.register_buffer("powers", torch.stack(powers).float(), persistent=False)
        angle = torch.arange(TABLE).double() * (2.0 * math.pi / TABLE)
        self.register_buffer("cosine", torch.cos(angle).float(), persistent=False)
        harmonics = torch.round(cell_centres() * (TABLE / SAMPLE_RATE))
        self.register_buffer("harmonics", harmonics[:, None], persistent=False)
        self.register_buffer("time", time.float()[None], persistent=False)
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
        even_basis, odd_basis = self._bases()
        after = torch.matmul(torch.cat(even, dim=2), even_basis)
        before = torch.matmul(torch.cat(odd, dim=2), odd_basis)
        return self._added(after - before, after + before)

    def _bases(self) -> tuple[Tensor, Tensor]:
        """What the even and the odd weights are multiplied by, ``[4 K, 160]`` each."""
        cosine, sine = self._looked_up(0), self._looked_up(TABLE // 4)
        powers = self.powers[:, None]
        even = (cosine * powers[0], cosine * powers[2], sine * powers[1], sine * powers[3])
        odd = (sine * powers[0], sine * powers[2], cosine * powers[1], cosine * powers[3])
        return torch.cat(even), torch.cat(odd)

    def _looked_up(self, behind: int) -> Tensor:
        phase = self.harmonics * self.time - behind + TABLE  # exact: below 2**24
        phase = phase - torch.floor(phase / TABLE) * TABLE
        return self.cosine[phase.long()]

    def _added(self, left: Tensor, right: Tensor) -> Tensor:
        """Halves of frames, the left one running backwards from its centre, added up."""
        left = functional.pad(torch.flip(left[..., 1:], (-1,)), (1, 0))
        summed = functional.pad(right, (0, 0, 1, 0)) + functional.pad(left, (0, 0, 0, 1))
        half = HOP_LENGTH // 2
        return summed.flatten(1)[:, half:-half]
