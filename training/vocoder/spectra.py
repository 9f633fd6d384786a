"""Stage ``vocoder``: short-time spectra for noise and hits.

Trained on spectra first, then against multi-period (arXiv:2010.05646) and multi-resolution
discriminators as well. What has a pitch is stage ``partials``'.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn

from training.loop import TrainingStage, autocast, optimize
from training.networks.discriminators import Discriminators, critic_loss, generator_losses
from training.networks.mel import LogMel
from training.networks.projection import MelProjection
from training.networks.vocoder.spectra import Spectra, magnitude_of
from training.sounds.bank import SoundBank

__all__ = ["VocoderStage"]

RESOLUTIONS: Final = ((256, 64), (640, 160), (2048, 400))
"""n_fft and hop of the spectral losses."""


class VocoderStage(TrainingStage):
    """Spectral losses; from ``adversarial_from`` on, the discriminators as well."""

    def __init__(
        self,
        bank: SoundBank,
        model: nn.Module,
        *,
        batch: int,
        frames: int,
        learning_rate: float,
        adversarial_from: int,
        adversarial_weight: float = 0.05,
        discriminator_width: int = 16,
    ) -> None:
        self.device, self.bank = bank.device, bank
        self.batch, self.frames = batch, frames
        self.adversarial_from, self.adversarial_weight = adversarial_from, adversarial_weight
        self.model = model.to(self.device)
        self.log_mel = LogMel().to(self.device)
        self.projection = MelProjection().to(self.device)
        critics = Discriminators(discriminator_width).to(self.device)
        self.networks = nn.ModuleDict({"model": model, "critics": critics})
        adam = torch.optim.AdamW
        self.optimizers = {
            "model": adam(model.parameters(), lr=learning_rate, betas=(0.9, 0.99)),
            "critics": adam(critics.parameters(), lr=3e-4, betas=(0.8, 0.99)),
        }

    def _crops(self, generator: torch.Generator) -> Tensor:
        rows = self.bank.draw(self.batch, generator)
        starts = self.bank.draw_starts(rows, self.frames, generator)
        waves = self.bank.crop_waves(rows, starts, self.frames)
        decibels = torch.rand((self.batch, 1), generator=generator, device=self.device) * 12.0
        return waves * 10.0 ** (-decibels / 20.0)

    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        """One batch of crops."""
        real = self._crops(generator)
        mels = self.log_mel(real)
        false = self._generate(mels, step)
        mel_error = (self.log_mel(false) - mels).abs().mean()
        spectral = spectral_loss(false, real)
        total = mel_error + spectral
        losses = {"mel_l1": mel_error.item(), "spectral": spectral.item()}
        if step >= self.adversarial_from:
            critics = self.networks["critics"].requires_grad_(False)
            fooled, matching = generator_losses(critics, real, false)
            critics.requires_grad_(True)
            total = total + self.adversarial_weight * (fooled + 2.0 * matching)
            losses |= {"fooled": fooled.item(), "matching": matching.item()}
        optimize(self.optimizers["model"], total, self.model.parameters())
        if step >= self.adversarial_from:
            critics = self.networks["critics"]
            loss = critic_loss(critics, real, false.detach())
            optimize(self.optimizers["critics"], loss, critics.parameters())
            losses["critics"] = loss.item()
        return losses

    def _generate(self, mels: Tensor, step: int) -> Tensor:
        """Spectra are learned by the network alone; what is judged is the corrected waveform."""
        with autocast(self.device):
            predicted = self.model(mels).float()
        if not isinstance(self.model, Spectra):
            return predicted
        logarithm, phase = predicted.chunk(2, dim=-1)
        waveform = self.model.synthesise(magnitude_of(logarithm), phase)
        if step < self.adversarial_from:
            return waveform
        return self.projection(waveform, mels)

    def _waveform(self, model: nn.Module, mels: Tensor) -> Tensor:
        if not isinstance(model, Spectra):
            return model(mels)
        return self.projection(model.synthesise(*model.spectra(mels)), mels)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Errors on the first 1.28 s of held-out clips: log-mel L1 (nepers) and spectra."""
        rows = self.bank.held_out[:128]
        waves = self.bank.crop_waves(rows, torch.zeros_like(rows), 128)
        mel_errors, spectral = [], []
        for real in waves.split(32):
            mels = self.log_mel(real)
            false = self._waveform(model, mels)
            mel_errors.append((self.log_mel(false) - mels).abs().mean())
            spectral.append(spectral_loss(false, real))
        return {
            "mel_l1": torch.stack(mel_errors).mean().item(),
            "spectral": torch.stack(spectral).mean().item(),
        }


def spectral_loss(false: Tensor, real: Tensor) -> Tensor:
    """Mean over resolutions of log-magnitude L1 plus half the spectral convergence."""
    losses = []
    for n_fft, hop in RESOLUTIONS:
        window = torch.hann_window(n_fft, device=real.device)
        ours, theirs = (
            torch.sqrt(
                torch.view_as_real(torch.stft(wave, n_fft, hop, window=window, return_complex=True))
                .square()
                .sum(-1)
                + 1e-8
            )
            for wave in (false, real)
        )
        distance = (ours - theirs).square().sum((1, 2)).sqrt()
        convergence = distance / theirs.square().sum((1, 2)).sqrt().clamp(min=0.1)
        scale = math.sqrt(n_fft)
        logarithmic = (torch.log(ours / scale + 1e-4) - torch.log(theirs / scale + 1e-4)).abs()
        losses.append(logarithmic.mean() + 0.5 * convergence.clamp(max=4.0).mean())
    return torch.stack(losses).mean()
