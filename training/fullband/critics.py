"""Discriminators that see nothing but the texture between 8 and 20 kHz.

Each bin is divided by the level of its surroundings first. So the envelope, which is regressed,
cannot be read from the picture; partials, grain and the edges of onsets can. Bins above the wall
of a clip are zero in both sounds.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from server.fullband.analysis import RATE
from training.networks.discriminators import Judgement

__all__ = ["TextureCritics"]

RESOLUTIONS: Final = ((2048, 512), (512, 128), (128, 32))
BAND_HZ: Final = (8_000.0, 20_000.0)
SURROUNDINGS: Final = (600.0, 0.04)
"""Hertz and seconds over which the level is taken."""


class _Tower(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        layers = ((2, width, 1), (width, width, 2), (width, 2 * width, 2))
        weight_norm = nn.utils.parametrizations.weight_norm
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 5), stride=stride, padding=2))
            for a, b, stride in layers
        )
        self.head = weight_norm(nn.Conv2d(2 * width, 1, 3, padding=1))

    def forward(self, picture: Tensor) -> Judgement:
        features = []
        for layer in self.layers:
            picture = functional.leaky_relu(layer(picture), 0.1)
            features.append(picture)
        return self.head(picture), features


class TextureCritics(nn.Module):
    """One judgement a resolution of the upper band of ``waveform [B, S]``."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.towers = nn.ModuleList(_Tower(width) for _ in RESOLUTIONS)

    def forward(self, waveform: Tensor, wall_hz: Tensor) -> list[Judgement]:
        """Judge ``waveform``, of which nothing above ``wall_hz`` [B] is real."""
        return [
            tower(texture(waveform, wall_hz, *resolution))
            for tower, resolution in zip(self.towers, RESOLUTIONS, strict=True)
        ]


def texture(waveform: Tensor, wall_hz: Tensor, n_fft: int, hop: int) -> Tensor:
    """Real and imaginary part of each bin, relative to its surroundings, [B, 2, bins, frames]."""
    window = torch.hann_window(n_fft, device=waveform.device)
    spectrum = torch.stft(waveform, n_fft, hop, window=window, return_complex=True)
    step = RATE / n_fft
    first, end = round(BAND_HZ[0] / step), round(BAND_HZ[1] / step)
    spectrum = spectrum[:, first:end]
    parts = torch.view_as_real(spectrum).permute(0, 3, 1, 2)
    power = parts.square().sum(1, keepdim=True)
    around = (_odd(SURROUNDINGS[0] / step), _odd(SURROUNDINGS[1] * RATE / hop))
    mean = functional.avg_pool2d(
        power, around, 1, (around[0] // 2, around[1] // 2), count_include_pad=False
    )
    relative = parts / torch.sqrt(mean + 1e-8)
    hz = torch.arange(first, end, device=waveform.device) * step
    seen = (hz < wall_hz[:, None] - 300.0).float()[:, None, :, None]
    return torch.sign(relative) * torch.sqrt(relative.abs() + 1e-4) * seen


def _odd(size: float) -> int:
    return 2 * int(size / 2.0) + 1
