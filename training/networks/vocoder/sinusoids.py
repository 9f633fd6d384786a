"""From what the cells hold to sinusoids: which cells sound, how loud, and in which phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from onnx_export.graphs.signatures import first_phases
from training.networks.mel import HOP_LENGTH, SAMPLE_RATE
from training.networks.vocoder.cells import NUM_CELLS, cell_centres, cell_widths, hann_response
from training.networks.vocoder.low_notes import in_line
from training.networks.vocoder.partials import Cells
from training.networks.vocoder.phases import carried, peaks_near

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
    """What :class:`Partials` says -> :class:`Tones`. No weights."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centres", cell_centres(), persistent=False)
        self.register_buffer("widths", cell_widths(), persistent=False)
        self.register_buffer("numbers", torch.arange(NUM_CELLS), persistent=False)

    def forward(
        self,
        cells: Cells,
        note: Tensor,
        phase: Tensor | None = None,
        start: Tensor | None = None,
        drift: Tensor | None = None,
    ) -> Tones:
        """The tones in all frames; see :meth:`Vocoder.forward` for what is optional."""
        offset, log_amplitude, tonality = cells
        inside = offset.abs() < WIDEST
        hertz = in_line(self.centres + self.widths * torch.clamp(offset, -WIDEST, WIDEST), note)
        offset = (hertz - self.centres) / self.widths
        peak = peaks_near(log_amplitude)
        cycles = torch.gather(hertz * (HOP_LENGTH / SAMPLE_RATE), 2, peak)
        before = torch.cat((cycles[:, :1], cycles[:, :-1]), dim=1)
        advance = 0.5 * (cycles + torch.gather(before, 2, peak))
        if drift is not None:
            advance = advance + torch.gather(drift[:, None] + torch.zeros_like(advance), 2, peak)
        phase = first_phases(NUM_CELLS) if phase is None else phase
        start = self.numbers[:1] if start is None else start
        phase = carried(advance, peak, phase, start)
        tonality = torch.clamp((torch.sigmoid(tonality) - DOUBT) / (SURE - DOUBT), 0.0, 1.0)
        gate = torch.where((peak == self.numbers) & inside, tonality, 0.0)
        magnitude = torch.exp(log_amplitude)
        power = magnitude * magnitude
        # What a partial leaks into cells further away is tonal as well.
        tonal = power * torch.maximum(torch.gather(gate, 2, peak), tonality)
        response = hann_response(torch.clamp(offset, -WIDEST, WIDEST))
        return Tones(magnitude / response * gate, phase, offset, power, tonal)
