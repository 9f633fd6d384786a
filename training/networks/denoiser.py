"""The denoiser of the built-in model: a transformer over time, with the unet's signature.

A token is four latent frames (160 ms), and there is one every two frames: each frame is in two
tokens, whose answers are added. Blocks are those of DiT (arXiv:2212.09748) with rotary
positions and gated MLPs; small 2-D convolutions before and after smooth over token borders.
The network output F is preconditioned as in EDM (arXiv:2206.00364), carried over to the rectified
flow x_t = (1 - t) x_0 + t noise: with s^2 = (1 - t)^2 + t^2 and data of unit variance,

    noise - x_0  =  (2 t - 1) / s^2  x_t  -  F / s

so that F is the clean latent at t = 1 and minus the noise at t = 0, and the loss on the velocity
weighs all times alike. The unit-norm CLAP embedding is scaled by sqrt(512) inside; behind it
come the three numbers of the notation (:mod:`training.networks.notation`).
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.notation import COLUMNS, MAP_CHANNELS, NOTE_FEATURES, NotationMap

__all__ = ["TransformerDenoiser"]

HOP: Final = 2
EMBEDDING: Final = 512
STEM: Final = 24


def _rotate(states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary position embedding (arXiv:2104.09864) on ``[B, heads, N, size]``."""
    first, second = states.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        inner = -(-width * 8 // 3 // 32) * 32
        self.up = nn.Linear(width, 2 * inner)
        self.down = nn.Linear(inner, width)

    def forward(self, states: Tensor, condition: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        parts = self.modulation(condition)[:, None].chunk(6, dim=-1)
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = parts
        states = states + gate * self._attend(self.norm(states) * (1 + scale) + shift, cosine, sine)
        value, opening = self.up(self.norm(states) * (1 + scale_mlp) + shift_mlp).chunk(2, dim=-1)
        return states + gate_mlp * self.down(value * functional.silu(opening))

    def _attend(self, states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        size = states.shape[-1] // self.heads
        query, key, value = (
            part.unflatten(-1, (self.heads, size)).transpose(1, 2)
            for part in self.query_key_value(states).chunk(3, dim=-1)
        )
        mixed = functional.scaled_dot_product_attention(
            _rotate(query, cosine, sine), _rotate(key, cosine, sine), value
        )
        return self.output(mixed.transpose(1, 2).flatten(2))


class TransformerDenoiser(nn.Module):
    """``sample [B, C, T, F], timestep [B] in [0, 1], embedding [B, 515] -> noise - x_0``."""

    def __init__(
        self,
        *,
        channels: int = 8,
        mel_bins: int = 16,
        width: int = 256,
        depth: int = 8,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.mel_bins = mel_bins
        self.stem = nn.Conv2d(channels, STEM, 3, padding=1)
        self.notation = NotationMap()
        self.drawn = nn.Conv2d(MAP_CHANNELS, STEM, 1, bias=False)
        self.noted = nn.Linear(NOTE_FEATURES, width, bias=False)
        self.patchify = nn.Linear(STEM * mel_bins * 2 * HOP, width)
        self.local = nn.Conv1d(width, width, 9, padding=4, groups=width)
        self.time = nn.Sequential(nn.Linear(128, width), nn.SiLU(), nn.Linear(width, width))
        self.class_embedding = nn.Linear(EMBEDDING, width)
        self.mixer = nn.Linear(width, width)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.unpatchify = nn.Linear(width, STEM * mel_bins * 2 * HOP)
        self.film = nn.Linear(width, 2 * STEM)
        self.fine = nn.Conv2d(2 * STEM, 2 * STEM, 3, padding=1)
        self.head = nn.Conv2d(2 * STEM, channels, 3, padding=1)
        nn.init.zeros_(self.drawn.weight)
        nn.init.zeros_(self.noted.weight)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        size = width // heads // 2
        frequencies = torch.exp(-math.log(1e4) * torch.arange(size) / size)
        self.register_buffer("rotary", frequencies, persistent=False)
        waves = torch.exp(-math.log(1e4) * torch.arange(64) / 64)
        self.register_buffer("time_waves", waves * 1000.0, persistent=False)

    def forward(self, sample: Tensor, timestep: Tensor, embedding: Tensor) -> Tensor:
        """Velocity at ``sample``; T a multiple of 2."""
        level = timestep[:, None, None, None]
        square = (1 - level) * (1 - level) + level * level
        output = self._network(sample * torch.rsqrt(square), timestep, embedding)
        return (2 * level - 1) / square * sample - output * torch.rsqrt(square)

    def _network(self, sample: Tensor, timestep: Tensor, embedding: Tensor) -> Tensor:
        angles = timestep[:, None] * self.time_waves
        time = self.time(torch.cat((torch.cos(angles), torch.sin(angles)), dim=-1))
        clap, notation = embedding.split((EMBEDDING, COLUMNS), dim=-1)
        features, drawn = self.notation(notation, sample.shape[2])
        condition = time + self.class_embedding(clap * math.sqrt(EMBEDDING)) + self.noted(features)
        condition = functional.silu(self.mixer(functional.silu(condition)))
        stem = self.stem(sample) + self.drawn(drawn)  # [B, 24, T, F]
        states = self.patchify(self._tokens(stem))
        states = states + self.local(states.transpose(1, 2)).transpose(1, 2)
        positions = torch.arange(states.shape[1], device=states.device, dtype=torch.float32)
        rotations = positions[:, None] * (0.5 * self.rotary)  # a position is 160 ms
        cosine, sine = torch.cos(rotations).to(states.dtype), torch.sin(rotations).to(states.dtype)
        for block in self.blocks:
            states = block(states, condition, cosine, sine)
        out = self._frames(self.unpatchify(self.norm(states)))
        scale, shift = self.film(condition)[:, :, None, None].chunk(2, dim=1)
        fine = torch.cat((out, stem * (1 + scale) + shift), dim=1)
        return self.head(functional.silu(self.fine(functional.silu(fine))))

    def _tokens(self, stem: Tensor) -> Tensor:
        """``[B, 24, T, F] -> [B, T / 2 + 1, 24 * 4 * F]``, with zeros around the sound."""
        halves = stem.reshape(stem.shape[0], STEM, -1, HOP * self.mel_bins)
        halves = functional.pad(halves, (0, 0, 1, 1))
        tokens = torch.cat((halves[:, :, :-1], halves[:, :, 1:]), dim=-1)
        return tokens.transpose(1, 2).flatten(2)

    def _frames(self, tokens: Tensor) -> Tensor:
        """Back from tokens to frames, where they overlap added."""
        first, second = (
            tokens.unflatten(-1, (STEM, 2 * HOP * self.mel_bins)).transpose(1, 2).chunk(2, dim=-1)
        )
        frames = first[:, :, 1:] + second[:, :, :-1]
        return frames.reshape(tokens.shape[0], STEM, -1, self.mel_bins)
