"""The log-mel spectrogram of AudioLDM, as a differentiable and exportable module.

16 kHz, 1024-sample periodic Hann window, hop 160, magnitude, 64 Slaney mels from 0 to
8 kHz, natural log clamped at 1e-5. Framed as HiFi-GAN frames it: reflected by 432 samples a
side and not centred, so that ``160 n`` samples give exactly ``n`` frames and frame ``k`` is
centred on sample ``160 k + 80``. The Slaney scale: M. Slaney, "Auditory Toolbox", 1998.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "HOP_LENGTH",
    "LOG_FLOOR",
    "NUM_MELS",
    "N_FFT",
    "SAMPLE_RATE",
    "LogMel",
    "mel_edges",
    "mel_filterbank",
]

SAMPLE_RATE: Final = 16000
N_FFT: Final = 1024
HOP_LENGTH: Final = 160
NUM_MELS: Final = 64
FLOOR: Final = 1e-5
LOG_FLOOR: Final = math.log(FLOOR)
"""Log-mel of digital silence."""


def _hz_to_mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    linear = hertz / (200.0 / 3.0)
    logarithmic = 15.0 + np.log(np.maximum(hertz, 1.0) / 1000.0) / (math.log(6.4) / 27.0)
    return np.where(hertz >= 1000.0, logarithmic, linear)


def _mel_to_hz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    linear = mels * (200.0 / 3.0)
    logarithmic = 1000.0 * np.exp((math.log(6.4) / 27.0) * (mels - 15.0))
    return np.where(mels >= 15.0, logarithmic, linear)


def mel_filterbank(
    *,
    sample_rate: int = SAMPLE_RATE,
    n_fft: int = N_FFT,
    num_mels: int = NUM_MELS,
    fmin: float = 0.0,
    fmax: float | None = None,
) -> npt.NDArray[np.float32]:
    """Slaney-normalised triangles ``[num_mels, n_fft // 2 + 1]`` from ``fmin`` to ``fmax`` Hz."""
    top = sample_rate / 2 if fmax is None else fmax
    edges = mel_edges(num_mels, fmin, top)
    bins = np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1)
    slopes = edges[:, None] - bins[None, :]
    widths = np.diff(edges)
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


def mel_edges(
    num_mels: int = NUM_MELS, fmin: float = 0.0, fmax: float = SAMPLE_RATE / 2
) -> npt.NDArray[np.float64]:
    """Where the triangles begin, peak and end, in Hz, ``[num_mels + 2]``."""
    ends = _hz_to_mel(np.array([fmin, fmax]))
    return _mel_to_hz(np.linspace(ends[0], ends[1], num_mels + 2))


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
        self.register_buffer("filters", torch.from_numpy(mel_filterbank()), persistent=False)
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
