"""Stage ``vae``: log-mel <-> latent ``[B, 8, T/4, 16]``.

A small convolutional VAE. A linear path of *overlapping* 8x8 windows at stride 4, started from
the principal components of 4x4 patches, carries the coarse picture; residual convolutions at a
quarter of the resolution and two at full resolution add the rest. (Windows that do not overlap
leave a visible 4x4 pattern.)

Loss: L1 + 0.5 L2 + 0.3 L1 of the gradients, in units of four nepers, plus a small KL term; then,
optionally, a PatchGAN (arXiv:1611.07004) with hinge loss on top.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.loop import TrainingStage, autocast, optimize
from training.networks.mel import LogMel
from training.sounds.bank import SoundBank, augment_gain, mix

__all__ = ["MelVae", "Decoder", "Encoder", "VaeStage", "WaveEncoder"]

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

        The mean square over all channels becomes one. Between channels only the square root of
        the ratio of their spreads is kept: unit variance everywhere would make the denoiser work
        on channels that the decoder hardly hears, none at all would drown them in noise.
        """
        spread = latents.std((0, 2, 3), keepdim=True)
        wanted = spread.sqrt()
        wanted = wanted / wanted.square().mean().sqrt()
        for part in (self.encoder, self.decoder):
            part.shift.copy_(latents.mean((0, 2, 3), keepdim=True))
            part.scale.copy_(wanted / spread)


class WaveEncoder(nn.Module):
    """The encoder as the model folder has it: ``waveform [B, S] -> mean, logvar``."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.log_mel = LogMel()
        self.encoder = encoder

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Latent of ``waveform``; S a multiple of 640."""
        mean, logvar = self.encoder(self.log_mel(waveform))
        return mean, logvar


class _PatchDiscriminator(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        widths = (1, width, 2 * width, 4 * width)
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1))
            for a, b in pairwise(widths)
        )
        self.head = nn.Conv2d(4 * width, 1, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        for layer in self.layers:
            picture = functional.leaky_relu(layer(picture), 0.2)
        return self.head(picture)


class VaeStage(TrainingStage):
    """Reconstruction first; from ``adversarial_from`` on also the PatchGAN."""

    def __init__(
        self,
        bank: SoundBank,
        model: MelVae,
        *,
        batch: int,
        frames: int,
        learning_rate: float,
        kl_weight: float,
        adversarial_from: int,
        adversarial_weight: float,
    ) -> None:
        self.device, self.bank = bank.device, bank
        self.batch, self.frames, self.kl_weight = batch, frames, kl_weight
        self.adversarial_from, self.adversarial_weight = adversarial_from, adversarial_weight
        self.model = model.to(self.device)
        discriminator = _PatchDiscriminator().to(self.device)
        self.networks = nn.ModuleDict({"model": model, "discriminator": discriminator})
        adam = torch.optim.AdamW
        self.optimizers = {
            "model": adam(model.parameters(), lr=learning_rate, weight_decay=1e-4),
            "discriminator": adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.9)),
        }

    def _crops(self, generator: torch.Generator) -> Tensor:
        rows = self.bank.draw(self.batch, generator)
        starts = self.bank.draw_starts(rows, self.frames, generator)
        mels = augment_gain(self.bank.crop_mels(rows, starts, self.frames), generator)
        third = self.batch // 6  # some crops are two sounds at once
        mels[:third] = mix(mels[:third], mels[third : 2 * third])
        return mels

    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        """One batch of crops."""
        mels = self._crops(generator)
        with autocast(self.device):
            mean, logvar = self.model.encoder(mels)
            noise = torch.randn(mean.shape, generator=generator, device=self.device)
            rebuilt = self.model.decoder(mean + noise * torch.exp(0.5 * logvar))
            loss = _reconstruction(rebuilt.float(), mels)
            kl = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).mean()
            total = loss + self.kl_weight * kl
            losses = {"reconstruction": loss.item(), "kl": kl.item()}
            if step >= self.adversarial_from:
                critic = self.networks["discriminator"]
                fooled = -critic((rebuilt[:, None] - CENTRE) / SPREAD).mean()
                total = total + self.adversarial_weight * fooled
        optimize(self.optimizers["model"], total, self.model.parameters())
        if step >= self.adversarial_from:
            losses["discriminator"] = self._criticise(mels, rebuilt.detach())
        return losses

    def _criticise(self, mels: Tensor, rebuilt: Tensor) -> float:
        critic = self.networks["discriminator"]
        with autocast(self.device):
            real = critic((mels[:, None] - CENTRE) / SPREAD)
            false = critic((rebuilt[:, None] - CENTRE) / SPREAD)
            loss = functional.relu(1.0 - real).mean() + functional.relu(1.0 + false).mean()
        optimize(self.optimizers["discriminator"], loss, critic.parameters())
        return loss.item()

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean absolute error in nepers of log-mel, on the beginnings of held-out clips."""
        rows = self.bank.held_out[:192]
        mels = self.bank.crop_mels(rows, torch.zeros_like(rows), 256)
        errors, spreads = [], []
        for chunk in mels.split(32):
            mean, _ = model.encoder(chunk)
            errors.append((model.decoder(mean) - chunk).abs().mean())
            spreads.append(mean.std((0, 2, 3)))
        spread = torch.stack(spreads).mean(0)
        return {
            "mel_l1": torch.stack(errors).mean().item(),
            "latent_std_min": spread.min().item(),
            "latent_std_max": spread.max().item(),
        }


def _reconstruction(rebuilt: Tensor, mels: Tensor) -> Tensor:
    error = (rebuilt - mels) / SPREAD
    gradients = error.diff(dim=1).abs().mean() + error.diff(dim=2).abs().mean()
    return error.abs().mean() + 0.5 * error.square().mean() + 0.3 * gradients
