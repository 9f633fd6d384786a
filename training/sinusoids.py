"""From what the cells hold to sinusoids: which cells sound, how loud, and in which phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from onnx_export.signatures import first_phases
from training.cells import NUM_CELLS, cell_centres, cell_widths, hann_response
from training.mel import HOP_LENGTH, SAMPLE_RATE
from training.phases import carried, peaks_near

__all__ = ["Sinusoids", "Tones"]

WIDEST: Final = 0.8
"""Cell widths from the centre beyond which a partial is its neighbour's."""
DOUBT: Final = 0.25
SURE: Final = 0.55
"""Tonality from which a partial is heard, and at which it has its full amplitude."""


@dataclass(frozen=True)
class Tones:
    """The partials of every frame; each ``[B, M, NUM_CELLS]``."""

    amplitude: Tensor
    """0 where there is none."""
    phase: Tensor
    """In cycles, at the centre of the frame."""
    offset: Tensor
    """Cell widths from the centre of the cell."""
    power: Tensor
    """Of everything in the cell."""
    tonal: Tensor
    """What of the power belongs to the partials."""


class Sinusoids(nn.Module):
    """``offset, log-amplitude, tonality`` of :class:`Partials` -> :class:`Tones`. No weights."""

    def __init__(self) -> None:
        super().__init__()
        cycles = HOP_LENGTH / SAMPLE_RATE
        self.register_buffer("centres", cell_centres() * cycles, persistent=False)
        self.register_buffer("widths", cell_widths() * cycles, persistent=False)
        self.register_buffer("numbers", torch.arange(NUM_CELLS), persistent=False)

    def forward(
        self,
        cells: tuple[Tensor, Tensor, Tensor],
        phase: Tensor | None = None,
        start: Tensor | None = None,
        drift: Tensor | None = None,
    ) -> Tones:
        """The tones in all frames; see :meth:`Vocoder.forward` for what is optional."""
        offset, log_amplitude, tonality = cells
        offset = torch.clamp(offset, -WIDEST, WIDEST)
        peak = peaks_near(log_amplitude)
        cycles = torch.gather(self.centres + self.widths * offset, 2, peak)
        before = torch.cat((cycles[:, :1], cycles[:, :-1]), dim=1)
        advance = 0.5 * (cycles + torch.gather(before, 2, peak))
        if drift is not None:
            advance = advance + torch.gather(drift[:, None] + torch.zeros_like(advance), 2, peak)
        phase = first_phases(NUM_CELLS) if phase is None else phase
        start = self.numbers[:1] if start is None else start
        phase = carried(advance, peak, phase, start)
        gate = torch.clamp((torch.sigmoid(tonality) - DOUBT) / (SURE - DOUBT), 0.0, 1.0)
        gate = torch.where((peak == self.numbers) & (offset.abs() < WIDEST), gate, 0.0)
        magnitude = torch.exp(log_amplitude)
        power = magnitude * magnitude
        tonal = power * torch.gather(gate, 2, peak)
        return Tones(magnitude / hann_response(offset) * gate, phase, offset, power, tonal)
