"""Noise and hits: short-time spectra of a log-mel, after Vocos (arXiv:2306.00814).

ConvNeXt blocks at the mel frame rate predict magnitude and phase of a short Fourier transform,
inverted by one matrix product and overlap-add.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from training.networks.mel import HOP_LENGTH, NUM_MELS
from training.networks.vocoder.convnext import Trunk
from training.networks.vocoder.frames import Frames

__all__ = ["N_FFT", "NUM_BINS", "Spectra", "magnitude_of"]

N_FFT: Final = 4 * HOP_LENGTH
NUM_BINS: Final = N_FFT // 2 + 1
MAX_LOG_MAGNITUDE: Final = 6.0
OVERLAP: Final = 1.5
"""What squared windows at fourfold overlap sum to."""
SCATTER: Final = 1.2
"""Radians by which phases are set apart; at this the ringing is gone."""


class Spectra(Trunk):
    """``log_mel [B, M, 64] -> log-magnitude and phase [B, M, 2 * 321]``.

    The synthesis frames are four hops long and centred where the mel frames are, at sample
    ``160 k + 80``.
    """

    def __init__(self, width: int = 256, depth: int = 6, expansion: int = 3) -> None:
        super().__init__(width, depth, expansion, 2 * NUM_BINS)
        self.frames = Frames(N_FFT)
        bins, bands = torch.arange(NUM_BINS)[:, None], torch.arange(NUM_MELS)[None]
        places = (bins * bins * 131 + bands * bands * 71 + bins * bands * 17) % N_FFT
        angle = places.double() * (2.0 * math.pi / N_FFT)
        combinations = (math.sqrt(2.0) * torch.cos(angle)).float()
        self.register_buffer("combinations", combinations.T.contiguous(), persistent=False)

    def spectra(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Magnitude, and phase set apart, ``[B, M, 321]`` each."""
        logarithm, phase = super().forward(log_mel).chunk(2, dim=-1)
        return magnitude_of(logarithm), phase + self.scatter(log_mel)

    def synthesise(self, magnitude: Tensor, phase: Tensor) -> Tensor:
        """The inverse transform ``[B, 160 M]`` of spectra ``[B, M, 321]``; float32 only."""
        real, imaginary = magnitude * torch.cos(phase), magnitude * torch.sin(phase)
        order = self.frames.order
        waveform = self.frames.synthesise(
            real[..., order], imaginary[..., order], self.frames.bases()
        )
        return waveform / OVERLAP

    def scatter(self, log_mel: Tensor) -> Tensor:
        """Phases ``[B, M, 321]`` that differ wherever the mel does.

        The network gives noise nearly the same phases in every frame, and so it repeats at the
        frame rate and rings. Sines of fixed combinations of the mel bands set them apart; a
        steady tone, whose mel does not change, is only turned. The projection mends the rest.
        """
        return SCATTER * torch.sin(torch.matmul(log_mel, self.combinations))


def magnitude_of(logarithm: Tensor) -> Tensor:
    """Magnitudes of predicted logarithms, which are bounded."""
    return torch.exp(torch.clamp(logarithm, max=MAX_LOG_MAGNITUDE))
