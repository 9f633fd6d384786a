"""The grid on which partials are looked for: cells in frequency, one partial at most in each.

Below 500 Hz cells are 7.8 Hz wide, so that the partials of a bass are apart; above, and up to
5 kHz, they are 15.6 Hz wide. The ground truth of a cell is taken from a Fourier transform whose bins are the
cells: the *instantaneous frequency* by Auger and Flandrin's reassignment (IEEE Trans. Signal
Processing 43, 1995, eq. 28), the amplitude, and whether the bins around agree on the frequency,
as those that see one sinusoid do and those that see noise do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.mel import HOP_LENGTH, SAMPLE_RATE

__all__ = ["NUM_CELLS", "Targets", "cell_centres", "cell_widths", "hann_response", "partials_of"]

GRIDS: Final = ((2048, 4, 64), (1024, 32, 320))
"""n_fft, first bin and the bin after the last."""
NUM_CELLS: Final = sum(last - first for _, first, last in GRIDS)
AGREEMENT: Final = 0.3
"""Bins by which neighbours may disagree on the frequency of a partial (standard deviation)."""
HANN_SERIES: Final = (-0.64465, 0.16489, -0.02029)
REACH_S: Final = 0.04
"""Seconds to either side over which their agreement is averaged."""


@dataclass(frozen=True)
class Targets:
    """What the cells of a sound hold; each ``[B, M, NUM_CELLS]``."""

    offset: Tensor
    """Instantaneous frequency, in cell widths from the centre of the cell."""
    amplitude: Tensor
    """Magnitude of the bin; of a sinusoid in the centre of its cell, its amplitude."""
    tonality: Tensor
    """1 where there is a partial, 0 where there is noise."""


def cell_centres() -> Tensor:
    """Centre of each cell in Hz, rising, ``[NUM_CELLS]``."""
    return torch.cat([torch.arange(a, b) * (SAMPLE_RATE / n) for n, a, b in GRIDS])


def cell_widths() -> Tensor:
    """Width of each cell in Hz, ``[NUM_CELLS]``."""
    return torch.cat([torch.full((b - a,), SAMPLE_RATE / n) for n, a, b in GRIDS])


def partials_of(waveform: Tensor) -> Targets:
    """The partials of ``waveform [B, 160 M]``, in frames centred where those of the mel are."""
    parts = [_grid_targets(waveform, *grid) for grid in GRIDS]
    offset, amplitude, tonality = (torch.cat(part, dim=1).transpose(1, 2) for part in zip(*parts))
    return Targets(offset, amplitude, tonality)


def _grid_targets(
    waveform: Tensor, n_fft: int, first: int, last: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Offset, amplitude and tonality, each ``[B, last - first, M]``."""
    spectrum, derivative = _transforms(waveform, n_fft, first - 2, last + 2)
    power = spectrum.real.square() + spectrum.imag.square() + 1e-12
    offset = -(derivative * spectrum.conj()).imag / power * (n_fft / (2.0 * math.pi))
    bins = torch.arange(first - 2, last + 2, device=waveform.device)[:, None]
    tonality = _agreement(bins + offset, power, n_fft)
    inside = slice(2, -2)
    offset = offset[:, inside].clamp(-2.0, 2.0)
    amplitude = power[:, inside].sqrt() * (4.0 / n_fft)
    return offset, amplitude, tonality[:, inside]


def _transforms(waveform: Tensor, n_fft: int, first: int, last: int) -> tuple[Tensor, Tensor]:
    """Bins ``first`` to ``last`` under a Hann window and under its derivative by the sample.

    Both are sums of the neighbouring bins of a rectangular window.
    """
    padding = (n_fft - HOP_LENGTH) // 2
    padded = functional.pad(waveform[:, None], (padding, padding), mode="reflect")[:, 0]
    bins = torch.fft.rfft(padded.unfold(1, n_fft, HOP_LENGTH)).transpose(1, 2)
    below, middle, above = (bins[:, first + shift : last + shift] for shift in (-1, 0, 1))
    hann = 0.5 * middle - 0.25 * (below + above)
    return hann, (0.5j * math.pi / n_fft) * (above - below)


def _agreement(frequency: Tensor, power: Tensor, n_fft: int) -> Tensor:
    """exp of minus the variance of ``frequency`` over three bins, weighted by ``power``."""
    weight, first, second = (
        functional.avg_pool1d(value.transpose(1, 2), 3, stride=1, padding=1).transpose(1, 2)
        for value in (power, power * frequency, power * frequency.square())
    )
    spread = (second - first.square() / weight).clamp(min=0.0)
    reach = round(REACH_S * SAMPLE_RATE / HOP_LENGTH * n_fft / 1024)
    spread, weight = (
        functional.avg_pool1d(value, 2 * reach + 1, stride=1, padding=reach)
        for value in (spread, weight)
    )
    return torch.exp(-spread / weight / AGREEMENT**2)


def hann_response(offset: Tensor) -> Tensor:
    """Of a Hann window to a sinusoid ``offset`` bins away, relative to none; below one bin.

    ``sinc(x) / (1 - x^2)`` as a polynomial, which is good to 0.001.
    """
    square = offset * offset
    return 1.0 + square * (HANN_SERIES[0] + square * (HANN_SERIES[1] + square * HANN_SERIES[2]))
