"""A last correction inside the vocoder: make the waveform's mel the one that was asked for.

A network that predicts magnitudes and phases freely makes frames that disagree where they
overlap. Each iteration analyses the waveform as :class:`LogMel` does, scales every frequency by
how far the mel bands around it are off, and adds the frames up again: one step of Griffin and
Lim's method (IEEE ASSP 32, 1984) with the mel instead of the magnitude as the constraint and the
network's phase as the start, with the momentum of the fast variant (Perraudin, Balazs and
Sondergaard, WASPAA 2013). It has no weights.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from training.networks.mel import FLOOR, N_FFT, mel_filters
from training.networks.vocoder.frames import Frames

__all__ = ["MelProjection"]

MAX_CORRECTION: Final = 3.0
"""Nepers that a band may be moved by in one iteration."""
MOMENTUM: Final = 0.9
STEPS: Final = (1.5, 1.4, 1.3, 1.0)
"""Times the correction that each iteration makes; the first overshoot, which saves iterations."""


class MelProjection(nn.Module):
    """``waveform [B, 160 M], log_mel [B, M, 64] -> waveform [B, 160 M]``."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = Frames(N_FFT)
        filters = mel_filters()[:, self.frames.order]
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)
        spread = filters / (filters.sum(0, keepdim=True) + 1e-8)
        self.register_buffer("spread", spread, persistent=False)

    def forward(self, waveform: Tensor, log_mel: Tensor) -> Tensor:
        """``waveform``, nearer to ``log_mel``."""
        bases, overlap = self.frames.bases(), self.frames.overlap(log_mel)
        ahead = waveform
        for number, step in enumerate(STEPS):
            real, imaginary = self.frames.analyse(ahead, bases)
            magnitude = torch.sqrt(real * real + imaginary * imaginary + 1e-9)
            mel = torch.log(torch.clamp(torch.matmul(magnitude, self.filters), min=FLOOR))
            error = torch.clamp(log_mel - mel, -MAX_CORRECTION, MAX_CORRECTION)
            gain = torch.exp(torch.matmul(step * error, self.spread))
            projected = self.frames.synthesise(real * gain, imaginary * gain, bases) / overlap
            ahead = projected + (MOMENTUM * (projected - waveform) if number else 0.0)
            waveform = projected
        return waveform
