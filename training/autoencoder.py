"""Stage ``vae``: the mel VAE.

The loss is L1 + 0.5 L2 + 0.3 L1 of the gradients, in units of four nepers, plus a small KL term.
Optionally a PatchGAN (arXiv:1611.07004) with hinge loss follows.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.loop import TrainingStage, autocast, optimize
from training.networks.autoencoder import CENTRE, SPREAD, MelVae
from training.sounds.bank import SoundBank, augment_gain, mix

__all__ = ["VaeStage"]


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
