"""A last correction inside the vocoder: make the waveform's mel the one that was asked for.

A network that predicts magnitudes and phases freely makes frames that disagree where they
overlap. Each iteration analyses the waveform as :class:`LogMel` does, scales every frequency by
how far the mel bands around it are off, and adds the frames up again: one step of Griffin and
Lim's method (IEEE ASSP 32, 1984) with the mel instead of the magnitude as the constraint and the
network's phase as the start, with the momentum of the fast variant (Perraudin, Balazs and
Sondergaard, WASPAA 2013). It has no weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.mel import HOP_LENGTH, N_FFT, LogMel

__all__ = ["MelProjection"]

MAX_CORRECTION = 3.0
"""Nepers that a band may be moved by in one iteration."""


MOMENTUM = 0.9


class MelProjection(nn.Module):
    """``waveform [B, 160 M], log_mel [B, M, 64] -> waveform [B, 160 M]``."""

    def __init__(self, iterations: int = 6) -> None:
        super().__init__()
        self.iterations = iterations
        self.log_mel = LogMel()
        filters = self.log_mel.filters
        spread = (filters / (filters.sum(0, keepdim=True) + 1e-8)).T.contiguous()
        self.register_buffer("spread", spread, persistent=False)
        weight = torch.full((N_FFT // 2 + 1, 1), 2.0 / N_FFT)
        weight[[0, -1]] = 1.0 / N_FFT
        self.register_buffer("bin_weight", weight, persistent=False)
        window = self.log_mel.window.square()[None, None]
        self.register_buffer("overlap", window, persistent=False)

    def forward(self, waveform: Tensor, log_mel: Tensor) -> Tensor:
        """``waveform``, nearer to ``log_mel``."""
        basis = self.log_mel.basis()
        ahead = waveform
        for iteration in range(self.iterations):
            real, imaginary = self.log_mel.spectrum(ahead, basis)
            error = log_mel - self.log_mel.of_spectrum(real, imaginary)
            error = torch.clamp(error, -MAX_CORRECTION, MAX_CORRECTION).transpose(1, 2)
            gain = torch.exp(torch.matmul(self.spread, error)) * self.bin_weight
            corrected = torch.cat((real * gain, imaginary * gain), dim=1)
            projected = self._synthesis(corrected, basis)
            ahead = projected + (MOMENTUM * (projected - waveform) if iteration else 0.0)
            waveform = projected
        return waveform

    def _synthesis(self, spectrum: Tensor, basis: Tensor) -> Tensor:
        frames = functional.conv_transpose1d(spectrum, basis, stride=HOP_LENGTH)
        ones = torch.ones_like(spectrum[:1, :1])
        weight = functional.conv_transpose1d(ones, self.overlap, stride=HOP_LENGTH)
        padding = (N_FFT - HOP_LENGTH) // 2
        return frames[:, 0, padding:-padding] / weight[:, 0, padding:-padding]
