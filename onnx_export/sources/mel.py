"""Log-mel spectrograms as plain convolutions, which can be part of a graph.

The short-time Fourier transform is one ``Conv1d`` with a windowed cosine and sine basis; it
equals ``torch.stft(center=True)`` to float32 rounding and needs no ONNX ``STFT`` operator. The
graph holds one turn of the waves instead of the basis of 4 MiB; ONNX Runtime folds the rest.
"""

from __future__ import annotations

import math

import torch

from server.model.mel import mel_filterbank

__all__ = ["CentredLogMel"]


class CentredLogMel(torch.nn.Module):
    """waveform [B, S] -> mel energies on a logarithmic scale [B, 1 + S // hop_length, num_mels].

    Slaney's mel scale with area normalisation, periodic Hann window of ``n_fft`` samples, frames
    centred on multiples of ``hop_length`` with reflection at the ends.

    Args:
        sample_rate: of the waveform, in Hz.
        n_fft: window and transform length in samples.
        hop_length: samples between frames.
        num_mels: number of bands between ``fmin`` and ``fmax`` (Hz).
        decibels: False: ``ln(max(1e-5, magnitude))``, AudioLDM's input of the VAE.
            True: ``10 log10(max(1e-10, power))``, CLAP's.
    """

    cosine: torch.Tensor
    sine: torch.Tensor
    window: torch.Tensor
    time: torch.Tensor
    filters: torch.Tensor

    def __init__(
        self,
        *,
        sample_rate: int,
        n_fft: int,
        hop_length: int,
        num_mels: int,
        fmin: float,
        fmax: float,
        decibels: bool,
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.decibels = decibels
        phase = 2 * math.pi * torch.arange(n_fft, dtype=torch.float64) / n_fft
        self.register_buffer("cosine", phase.cos())
        self.register_buffer("sine", phase.sin())
        self.register_buffer("window", torch.hann_window(n_fft, dtype=torch.float64))
        # A buffer, because a trace would keep what is made of constants as one large constant.
        self.register_buffer("time", torch.arange(n_fft))
        filters = mel_filterbank(
            sample_rate=sample_rate, n_fft=n_fft, num_mels=num_mels, fmin=fmin, fmax=fmax
        )
        self.register_buffer("filters", torch.from_numpy(filters.T.copy()))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """waveform [B, S] -> [B, 1 + S // hop_length, num_mels]."""
        half = self.n_fft // 2
        padded = torch.nn.functional.pad(waveform[:, None], (half, half), mode="reflect")
        spectrum = torch.nn.functional.conv1d(padded, self.basis(), stride=self.hop_length)
        real, imaginary = spectrum.chunk(2, dim=1)
        power = (real.square() + imaginary.square()).transpose(1, 2)
        if self.decibels:
            return (power @ self.filters).clamp(min=1e-10).log10() * 10
        return (power.sqrt() @ self.filters).clamp(min=1e-5).log()

    def basis(self) -> torch.Tensor:
        """Windowed cosines, then minus sines: [2 * (n_fft // 2 + 1), 1, n_fft]."""
        # The phase modulo one turn keeps the sines exact for large products.
        phase = self.time[: self.n_fft // 2 + 1, None] * self.time % self.n_fft
        waves = torch.cat([self.cosine[phase], -self.sine[phase]]) * self.window
        return waves[:, None].float()
