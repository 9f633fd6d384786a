"""The log-mel spectrogram of AudioLDM, as a differentiable and exportable module.

16 kHz, 1024-sample periodic Hann window, hop 160, magnitude, 64 Slaney mels from 0 to
8 kHz, natural log clamped at 1e-5. Framed as HiFi-GAN frames it: reflected by 432 samples a
side and not centred, so that ``160 n`` samples give exactly ``n`` frames and frame ``k`` is
centred on sample ``160 k + 80``.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from server.model.mel import mel_filterbank

__all__ = [
    "HOP_LENGTH",
    "LOG_FLOOR",
    "NUM_MELS",
    "N_FFT",
    "SAMPLE_RATE",
    "LogMel",
    "mel_filters",
]

SAMPLE_RATE: Final = 16000
N_FFT: Final = 1024
HOP_LENGTH: Final = 160
NUM_MELS: Final = 64
FLOOR: Final = 1e-5
LOG_FLOOR: Final = math.log(FLOOR)
"""Log-mel of digital silence."""


def mel_filters() -> Tensor:
    """AudioLDM's mel filters, ``[NUM_MELS, N_FFT // 2 + 1]``."""
    return torch.from_numpy(mel_filterbank(sample_rate=SAMPLE_RATE, n_fft=N_FFT, num_mels=NUM_MELS))


class LogMel(nn.Module):
    """``waveform [B, S] -> log_mel [B, S // 160, 64]``; S at least 433 samples.

    The Fourier basis is looked up in a table of one cosine period inside the graph, which
    keeps the exported file 4 MB smaller; ONNX Runtime folds it to a constant when it loads.
    """

    def __init__(self) -> None:
        super().__init__()
        steps = torch.arange(N_FFT)
        cosine = torch.cos(steps.double() * (2.0 * math.pi / N_FFT)).float()
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        self.register_buffer("filters", mel_filters(), persistent=False)
        frequencies = torch.arange(N_FFT // 2 + 1)
        self.register_buffer("frequencies", frequencies[:, None].float(), persistent=False)
        self.register_buffer("steps", steps[None, :].float(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Log-mel frames of ``waveform``."""
        return self.of_spectrum(*self.spectrum(waveform))

    def spectrum(self, waveform: Tensor, basis: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Real and imaginary part of the windowed Fourier transform, each ``[B, 513, M]``.

        ``basis`` is :meth:`basis`, for those who have it already.
        """
        basis = self.basis() if basis is None else basis
        padding = (N_FFT - HOP_LENGTH) // 2
        padded = functional.pad(waveform[:, None], (padding, padding), mode="reflect")
        real, imaginary = functional.conv1d(padded, basis, stride=HOP_LENGTH).chunk(2, dim=1)
        return real, imaginary

    def of_spectrum(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Log-mel ``[B, M, 64]`` of a spectrum."""
        magnitude = torch.sqrt(real * real + imaginary * imaginary + 1e-9)
        mel = torch.matmul(self.filters, magnitude)
        return torch.log(torch.clamp(mel, min=FLOOR)).transpose(1, 2)

    def basis(self) -> Tensor:
        """Windowed cosines, then minus sines: ``[2 * 513, 1, 1024]``."""
        phase = self.frequencies * self.steps  # exact: below 2**24
        phase = phase - torch.floor(phase / N_FFT) * N_FFT
        quarter = torch.where(phase < 3 * N_FFT // 4, phase + N_FFT // 4, phase - 3 * N_FFT // 4)
        indices = torch.cat((phase, quarter), dim=0).long()
        basis = self.cosine[indices] * self.window
        return basis[:, None]
