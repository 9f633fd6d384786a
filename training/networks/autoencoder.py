"""The mel VAE: log-mel to latent ``[B, 8, T/4, 16]`` and back.

A linear path of *overlapping* 8x8 windows at stride 4 carries the coarse picture. It starts from
the principal components of 4x4 patches. Residual convolutions at a quarter of the resolution, and
two at full resolution, add the rest. Windows without overlap leave a visible 4x4 pattern.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.mel import LogMel

__all__ = ["CENTRE", "SPREAD", "Decoder", "Encoder", "MelVae", "WaveEncoder"]


CENTRE: Final = -5.0
SPREAD: Final = 4.0
STRIDE: Final = 4


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, states: Tensor) -> Tensor:
        return states + self.second(functional.silu(self.first(self.norm(states))))


class Encoder(nn.Module):
    """``log_mel [B, M, 64] -> mean, logvar [B, C, M / 4, 16]``."""

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.linear = nn.Conv2d(1, channels, 8, stride=STRIDE, padding=2, bias=False)
        self.stem = nn.Conv2d(1, width, 8, stride=STRIDE, padding=2)
        self.blocks = nn.Sequential(*(_Residual(width) for _ in range(depth)))
        self.head = nn.Conv2d(width, 2 * channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        self.register_buffer("shift", torch.zeros(1, channels, 1, 1))
        self.register_buffer("scale", torch.ones(1, channels, 1, 1))

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent, standardised by channel."""
        picture = (log_mel[:, None] - CENTRE) / SPREAD
        correction, logvar = self.head(self.blocks(self.stem(picture))).chunk(2, dim=1)
        mean = self.linear(picture) + correction
        logvar = torch.clamp(logvar - 4.0, -12.0, 4.0)
        return (mean - self.shift) * self.scale, logvar + 2.0 * torch.log(self.scale)


class Decoder(nn.Module):
    """``latent [B, C, T, 16] -> log_mel [B, 4 T, 64]``."""

    def __init__(self, channels: int, width: int, depth: int, fine: int) -> None:
        super().__init__()
        self.linear = nn.ConvTranspose2d(channels, 1, 8, stride=STRIDE, padding=2, bias=False)
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(_Residual(width) for _ in range(depth)))
        self.up = nn.ConvTranspose2d(width, fine, 8, stride=STRIDE, padding=2)
        self.smooth = nn.Conv2d(fine + 1, fine, 3, padding=1)
        self.head = nn.Conv2d(fine, 1, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        self.register_buffer("shift", torch.zeros(1, channels, 1, 1))
        self.register_buffer("scale", torch.ones(1, channels, 1, 1))

    def forward(self, latent: Tensor) -> Tensor:
        """Log-mel frames."""
        latent = latent / self.scale + self.shift
        coarse = self.linear(latent)
        fine = functional.silu(self.up(self.blocks(self.stem(latent))))
        fine = functional.silu(self.smooth(torch.cat((fine, coarse), dim=1)))
        return (coarse + self.head(fine))[:, 0] * SPREAD + CENTRE


class MelVae(nn.Module):
    """Encoder and decoder of the mel VAE."""

    def __init__(
        self, channels: int = 8, width: int = 48, encoder_depth: int = 2, decoder_depth: int = 4
    ) -> None:
        super().__init__()
        self.encoder = Encoder(channels, width, encoder_depth)
        self.decoder = Decoder(channels, width, decoder_depth, fine=12)

    @torch.no_grad()
    def start_from_components(self, mels: Tensor) -> None:
        """Set the linear path to the principal components of 4x4 patches of ``mels``."""
        picture = (mels[:, None] - CENTRE) / SPREAD
        patches = functional.unfold(picture, STRIDE, stride=STRIDE).transpose(1, 2).flatten(0, 1)
        _, vectors = torch.linalg.eigh(torch.cov(patches.T))
        channels = self.encoder.linear.weight.shape[0]
        components = vectors.flip(1)[:, :channels].T.reshape(channels, 1, STRIDE, STRIDE)
        for path in (self.encoder.linear, self.decoder.linear):
            path.weight.zero_()
            path.weight[:, :, 2:-2, 2:-2] = components

    @torch.no_grad()
    def standardise(self, latents: Tensor) -> None:
        """Fold mean and spread of ``latents`` [B, C, T, F] into the encoder and the decoder.

        The mean square over all channels becomes one. Between channels, the square root of the
        ratio of their spreads is kept. Unit variance everywhere would make the denoiser work on
        channels that hardly matter to the decoder; no scaling would drown them in noise.
        """
        spread = latents.std((0, 2, 3), keepdim=True)
        wanted = spread.sqrt()
        wanted = wanted / wanted.square().mean().sqrt()
        for part in (self.encoder, self.decoder):
            part.shift.copy_(latents.mean((0, 2, 3), keepdim=True))
            part.scale.copy_(wanted / spread)


class WaveEncoder(nn.Module):
    """The graph ``vae_encoder`` of the model folder: ``waveform [B, S] -> mean, logvar``."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.log_mel = LogMel()
        self.encoder = encoder

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Latent of ``waveform``; S a multiple of 640."""
        mean, logvar = self.encoder(self.log_mel(waveform))
        return mean, logvar
