"""The truth about the cells of a sound, from short-time Fourier transforms of its waveform.

The *instantaneous frequency* by Auger and Flandrin's reassignment (IEEE Trans. Signal Processing
43, 1995, eq. 28), the magnitude, and whether the bins around agree on the frequency, as those that
see one sinusoid do and those that see noise do not. In a window long enough for a bass a vibrato is
blurred: where a window of half the length sees a partial more clearly, its answer counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.networks.mel import HOP_LENGTH, SAMPLE_RATE
from training.networks.vocoder.cells import FINE, WIDE

__all__ = ["Targets", "partials_of"]

AGREEMENT: Final = 0.3
"""Bins by which neighbours may disagree on the frequency of a partial (standard deviation)."""
REACH_S: Final = 0.04
"""Seconds to either side, for 1024 samples, over which their agreement is averaged."""
CLEARER: Final = 0.05
"""By how much the tonality has to be higher for the shorter window to count."""


@dataclass(frozen=True)
class Targets:
    """What the cells of a sound hold; each ``[B, M, NUM_CELLS]``."""

    offset: Tensor
    """Instantaneous frequency, in cell widths from the centre of the cell."""
    amplitude: Tensor
    """Magnitude of the bin; of a sinusoid in the centre of its cell, its amplitude."""
    tonality: Tensor
    """1 where there is a partial, 0 where there is noise."""


def partials_of(waveform: Tensor) -> Targets:
    """The partials of ``waveform [B, 160 M]``, in frames centred where those of the mel are."""
    n_fft, first, last = WIDE
    wide = _bins(waveform, n_fft, FINE[1] // 2, last)
    fine = _clearer(_bins(waveform, *FINE), wide)
    above = slice(first - FINE[1] // 2, None)
    parts = zip(fine, wide, strict=True)
    return Targets(
        *(torch.cat((low, high[:, above]), dim=1).transpose(1, 2) for low, high in parts)
    )


Bins = tuple[Tensor, Tensor, Tensor]
"""Offset, amplitude and tonality, each ``[B, bins, M]``."""


def _bins(waveform: Tensor, n_fft: int, first: int, last: int) -> Bins:
    spectrum, derivative = _transforms(waveform, n_fft, first - 1, last + 1)
    power = spectrum.real.square() + spectrum.imag.square() + 1e-12
    offset = -(derivative * spectrum.conj()).imag / power * (n_fft / (2.0 * math.pi))
    offset = offset.clamp(-2.0, 2.0)
    bins = torch.arange(first - 1, last + 1, device=waveform.device)[:, None]
    tonality = _agreement(bins + offset, power, n_fft)
    inside = slice(1, -1)
    return offset[:, inside], power[:, inside].sqrt() * (4.0 / n_fft), tonality[:, inside]


def _clearer(fine: Bins, wide: Bins) -> Bins:
    """``fine``, drawn from ``wide`` where that sees a partial more clearly."""
    count = fine[0].shape[1]
    offset, amplitude, tonality = (
        torch.repeat_interleave(part[:, : count // 2], 2, dim=1) for part in wide
    )
    odd = torch.arange(count, device=offset.device)[:, None] % 2
    drawn = 2.0 * offset - odd
    magnitude = amplitude / _response(offset) * _response(drawn)
    use = tonality > fine[2] + CLEARER
    pairs = zip((drawn.clamp(-2.0, 2.0), magnitude, tonality), fine, strict=True)
    offset, amplitude, tonality = (torch.where(use, new, old) for new, old in pairs)
    return offset, amplitude, tonality


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


def _response(offset: Tensor) -> Tensor:
    """Of a Hann window to a sinusoid ``offset`` bins away, relative to none."""
    distance = offset.abs()
    distance = torch.where((distance - 1.0).abs() < 1e-3, distance + 2e-3, distance)
    response = torch.sinc(distance) / (1.0 - distance.square())
    return torch.where(distance < 2.0, response, 0.0).clamp(min=1e-3)
