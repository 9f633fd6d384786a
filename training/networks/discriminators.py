"""Discriminators of the vocoder: multi-period and multi-resolution, slim enough for a CPU."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Discriminators", "critic_loss", "generator_losses"]

PERIODS: Final = (2, 3, 5, 7)
RESOLUTIONS: Final = ((512, 128), (1024, 256), (256, 64))

Judgement = tuple[Tensor, list[Tensor]]
"""Scores and the feature maps that led to them."""


class _Tower(nn.Module):
    def __init__(self, widths: tuple[int, ...], kernel: tuple[int, int], stride: tuple[int, int]):
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        weight_norm = nn.utils.parametrizations.weight_norm
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, kernel, stride=stride, padding=padding))
            for a, b in pairwise(widths)
        )
        self.head = weight_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, picture: Tensor) -> Judgement:
        features = []
        for layer in self.layers:
            picture = functional.leaky_relu(layer(picture), 0.1)
            features.append(picture)
        return self.head(picture), features


class Discriminators(nn.Module):
    """Every tower's judgement of ``waveform [B, S]``."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        widths = (1, width, 2 * width, 4 * width, 4 * width)
        self.periods = nn.ModuleList(_Tower(widths, (5, 1), (3, 1)) for _ in PERIODS)
        widths = (2, width, width, 2 * width, 2 * width)
        self.resolutions = nn.ModuleList(_Tower(widths, (3, 5), (1, 2)) for _ in RESOLUTIONS)

    def forward(self, waveform: Tensor) -> list[Judgement]:
        """One judgement a tower."""
        judgements = []
        for period, tower in zip(PERIODS, self.periods, strict=True):
            usable = waveform.shape[1] // period * period
            folded = waveform[:, :usable].unflatten(1, (-1, period))
            judgements.append(tower(folded[:, None]))
        for (n_fft, hop), tower in zip(RESOLUTIONS, self.resolutions, strict=True):
            window = torch.hann_window(n_fft, device=waveform.device)
            spectrum = torch.stft(waveform, n_fft, hop, window=window, return_complex=True)
            parts = torch.view_as_real(spectrum).permute(0, 3, 2, 1) * (4.0 / n_fft**0.5)
            # Signed square root: quiet partials count too.
            judgements.append(tower(torch.sign(parts) * torch.sqrt(parts.abs() + 1e-6)))
        return judgements


def generator_losses(critics: Discriminators, real: Tensor, false: Tensor) -> tuple[Tensor, Tensor]:
    """Hinge loss of the generator and feature matching, means over the towers."""
    with torch.no_grad():
        targets = critics(real)
    judged = critics(false)
    fooled = torch.stack([functional.relu(1.0 - score).mean() for score, _ in judged])
    matching = [
        (ours - theirs).abs().mean() / theirs.abs().mean().clamp(min=1e-3)
        for (_, mine), (_, other) in zip(judged, targets, strict=True)
        for ours, theirs in zip(mine, other, strict=True)
    ]
    return fooled.mean(), torch.stack(matching).mean()


def critic_loss(critics: Discriminators, real: Tensor, false: Tensor) -> Tensor:
    """Hinge loss of the discriminators, mean over the towers."""
    losses = [
        functional.relu(1.0 - good).mean() + functional.relu(1.0 + bad).mean()
        for (good, _), (bad, _) in zip(critics(real), critics(false), strict=True)
    ]
    return torch.stack(losses).mean()
