"""The grid on which partials are looked for: cells in frequency, one partial at most in each.

Below 1 kHz cells are 7.8 Hz wide, so that the partials of a bass or of a chord are apart; above,
and up to 5 kHz, they are 15.6 Hz wide.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from training.networks.mel import SAMPLE_RATE

__all__ = ["FINE", "NUM_CELLS", "WIDE", "cell_centres", "cell_widths", "hann_response"]

FINE: Final = (2048, 4, 128)
WIDE: Final = (1024, 64, 320)
"""n_fft of the transform whose bins the cells are, first bin, bin after the last."""
NUM_CELLS: Final = sum(last - first for _, first, last in (FINE, WIDE))
HANN_SERIES: Final = (-0.64465, 0.16489, -0.02029)


def cell_centres() -> Tensor:
    """Centre of each cell in Hz, rising, ``[NUM_CELLS]``."""
    return torch.cat([torch.arange(a, b) * (SAMPLE_RATE / n) for n, a, b in (FINE, WIDE)])


def cell_widths() -> Tensor:
    """Width of each cell in Hz, ``[NUM_CELLS]``."""
    return torch.cat([torch.full((b - a,), SAMPLE_RATE / n) for n, a, b in (FINE, WIDE)])


def hann_response(offset: Tensor) -> Tensor:
    """Of a Hann window to a sinusoid ``offset`` bins away, relative to none; below one bin.

    ``sinc(x) / (1 - x^2)`` as a polynomial, which is good to 0.001.
    """
    square = offset * offset
    return 1.0 + square * (HANN_SERIES[0] + square * (HANN_SERIES[1] + square * HANN_SERIES[2]))
