"""The CLAP towers: an audio tower on log-mels, a text head on sentence embeddings."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.mel import LogMel

__all__ = ["EMBEDDING", "POOLED", "AudioTower", "Clap", "TextHead", "TextTower", "WaveTower"]


EMBEDDING: Final = 512
POOLED: Final = 2 * EMBEDDING + 256
CENTRE: Final = -5.0
SPREAD: Final = 4.0


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, states: Tensor) -> Tensor:
        return states + self.conv(functional.silu(self.norm(states)))


class AudioTower(nn.Module):
    """``log_mel [B, M, 64] -> embedding [B, 512]`` of unit length, for M of 30 and more.

    Frequency is kept to the end (four bands of 256 channels). The mean, peak and spread of each
    mel band by-pass the convolutions, because they distinguish pitches.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 128, 256)) -> None:
        super().__init__()
        first, *others = widths
        layers: list[nn.Module] = [nn.Conv2d(1, first, 5, stride=(2, 1), padding=2)]
        previous = first
        for number, width in enumerate(others):
            layers += [nn.SiLU(), nn.Conv2d(previous, width, 3, stride=2, padding=1)]
            layers += [_Residual(width)] if number else []
            previous = width
        self.convolutions = nn.Sequential(*layers, nn.SiLU())
        self.flatten = nn.Linear(4 * previous, EMBEDDING)
        self.profile = nn.Linear(3 * 64, 256)
        self.head = nn.Sequential(
            nn.Linear(POOLED, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING)
        )

    def forward(self, log_mel: Tensor) -> Tensor:
        """Embedding of each clip."""
        picture = (log_mel - CENTRE) / SPREAD
        pooled = self._pooled(picture, self.convolutions(picture[:, None]))
        return functional.normalize(self.head(pooled), dim=-1)

    def features(self, log_mel: Tensor) -> tuple[list[Tensor], Tensor]:
        """Feature maps [B, channels, M', bands], fine to coarse, and the pooled vector."""
        picture = (log_mel - CENTRE) / SPREAD
        states, maps = picture[:, None], []
        for layer in self.convolutions:
            if isinstance(layer, nn.SiLU):
                maps.append(states)
            states = layer(states)
        return maps, self._pooled(picture, states)

    def _pooled(self, picture: Tensor, states: Tensor) -> Tensor:
        states = functional.silu(self.flatten(states.transpose(1, 2).flatten(2)))
        mean = picture.mean(1)
        spread = torch.sqrt((picture - mean[:, None]).square().mean(1) + 1e-4)
        profile = functional.silu(self.profile(torch.cat((mean, picture.amax(1), spread), dim=-1)))
        return torch.cat((states.mean(1), states.amax(1), profile), dim=-1)


class TextHead(nn.Module):
    """``sentence embedding [B, 384] -> embedding [B, 512]`` of unit length."""

    def __init__(self, width: int = 384) -> None:
        super().__init__()
        self.linear = nn.Linear(width, EMBEDDING)
        self.mlp = nn.Sequential(nn.Linear(width, 512), nn.SiLU(), nn.Linear(512, EMBEDDING))
        self.scale = width**0.5

    def forward(self, sentence: Tensor) -> Tensor:
        """CLAP embedding of each sentence."""
        sentence = sentence * self.scale
        return functional.normalize(self.linear(sentence) + self.mlp(sentence), dim=-1)


class TextTower(nn.Module):
    """The graph ``text_encoder`` of the model folder."""

    def __init__(self, encoder: nn.Module, head: TextHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """``input_ids, attention_mask`` int64 [B, N] -> embedding [B, 512]."""
        return self.head(self.encoder(input_ids, attention_mask))


class WaveTower(nn.Module):
    """The graph ``audio_encoder`` of the model folder: ``waveform [B, S] -> embedding``."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.log_mel = LogMel()
        self.tower = tower

    def forward(self, waveform: Tensor) -> Tensor:
        """Embedding of ``waveform``, S at least 0.3 s."""
        return self.tower(self.log_mel(waveform))


class Clap(nn.Module):
    """Both towers without the text encoder, whose sentence embeddings are the input."""

    def __init__(self) -> None:
        super().__init__()
        self.audio = AudioTower()
        self.text = TextHead()
        self.log_temperature = nn.Parameter(torch.tensor(2.7))
