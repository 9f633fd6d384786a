"""Stage ``vocoder``: log-mel -> waveform, after Vocos (arXiv:2306.00814).

ConvNeXt blocks at the mel frame rate predict magnitude and phase of a short Fourier transform,
inverted by one transposed convolution. Trained on spectra first, then against multi-period
(arXiv:2010.05646) and multi-resolution discriminators as well.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.loop import TrainingStage, autocast, optimize
from training.networks.discriminators import Discriminators, critic_loss, generator_losses
from training.networks.mel import HOP_LENGTH, NUM_MELS, LogMel
from training.networks.projection import MelProjection
from training.sounds.bank import SoundBank

__all__ = ["Vocoder", "VocoderStage"]

CENTRE: Final = -5.0
SPREAD: Final = 4.0
SCATTER: Final = 1.2
"""Radians by which phases are set apart; at this the ringing is gone."""
RESOLUTIONS: Final = ((256, 64), (640, 160), (2048, 400))
"""n_fft and hop of the spectral losses."""


class _ConvNeXt(nn.Module):
    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)
        self.gain = nn.Parameter(torch.full((width,), 0.15))

    def forward(self, states: Tensor) -> Tensor:
        inner = self.norm(self.depthwise(states).transpose(1, 2))
        inner = self.down(functional.gelu(self.up(inner))) * self.gain
        return states + inner.transpose(1, 2)


class Vocoder(nn.Module):
    """``log_mel [B, M, 64] -> waveform [B, 160 M]``.

    The synthesis frames are four hops long and centred where the mel frames are, at sample
    ``160 k + 80``. Their basis is looked up in a cosine table, as in :class:`LogMel`.
    """

    def __init__(self, width: int = 256, depth: int = 6, expansion: int = 3) -> None:
        super().__init__()
        self.projection = MelProjection()
        self.n_fft = 4 * HOP_LENGTH
        self.num_bins = self.n_fft // 2 + 1
        self.stem = nn.Conv1d(NUM_MELS, width, 7, padding=3)
        self.stem_norm = nn.LayerNorm(width)
        self.blocks = nn.Sequential(*(_ConvNeXt(width, expansion) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 2 * self.num_bins)
        steps = torch.arange(self.n_fft)
        cosine = torch.cos(steps.double() * (2.0 * math.pi / self.n_fft)).float()
        self.register_buffer("cosine", cosine, persistent=False)
        window = torch.hann_window(self.n_fft) / 1.5  # squared windows at 4x overlap sum to 1.5
        self.register_buffer("window", window, persistent=False)
        bins = torch.arange(self.num_bins)
        self.register_buffer("bins", bins[:, None].float(), persistent=False)
        self.register_buffer("steps", steps[None, :].float(), persistent=False)
        weight = torch.full((self.num_bins,), 2.0 / self.n_fft)
        weight[[0, -1]] = 1.0 / self.n_fft
        self.register_buffer("bin_weight", weight[:, None], persistent=False)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Waveform of ``log_mel``."""
        magnitude, phase = self.network(log_mel).chunk(2, dim=-1)
        scattered = torch.cat((magnitude, phase + self._scatter(log_mel)), dim=-1)
        return self.projection(self.synthesise(scattered), log_mel)

    def network(self, log_mel: Tensor) -> Tensor:
        """Log-magnitudes, then phases: ``[B, M, 2 * 321]``."""
        states = self.stem(((log_mel - CENTRE) / SPREAD).transpose(1, 2))
        states = self.stem_norm(states.transpose(1, 2)).transpose(1, 2)
        return self.head(self.norm(self.blocks(states).transpose(1, 2)))

    def synthesise(self, predicted: Tensor) -> Tensor:
        """The inverse transform of what :meth:`network` says; float32 only."""
        magnitude, phase = predicted.transpose(1, 2).chunk(2, dim=1)
        magnitude = torch.exp(torch.clamp(magnitude, max=6.0))
        spectrum = torch.cat((magnitude * torch.cos(phase), magnitude * torch.sin(phase)), dim=1)
        frames = functional.conv_transpose1d(spectrum, self._basis(), stride=HOP_LENGTH)
        trim = (self.n_fft - HOP_LENGTH) // 2
        return frames[:, 0, trim:-trim]

    def _scatter(self, log_mel: Tensor) -> Tensor:
        """Phases ``[B, M, 321]`` that differ wherever the mel does.

        The network gives noise nearly the same phases in every frame, and so it repeats at the
        frame rate and rings. Sines of fixed combinations of the mel bands set them apart; a
        steady tone, whose mel does not change, is only turned. The projection mends the rest.
        """
        bands = self.steps[:, :NUM_MELS]
        places = self.bins * self.bins * 131.0 + bands * bands * 71.0 + self.bins * bands * 17.0
        places = places - torch.floor(places / self.n_fft) * self.n_fft
        combinations = math.sqrt(2.0) * self.cosine[places.long()]  # [321, 64]
        return SCATTER * torch.sin(torch.matmul(log_mel, combinations.T))

    def _basis(self) -> Tensor:
        phase = self.bins * self.steps
        phase = phase - torch.floor(phase / self.n_fft) * self.n_fft
        quarter = self.n_fft // 4
        shifted = torch.where(phase < 3 * quarter, phase + quarter, phase - 3 * quarter)
        basis = torch.cat(
            (
                self.cosine[phase.long()] * self.bin_weight,
                self.cosine[shifted.long()] * self.bin_weight,
            ),
            dim=0,
        )
        return (basis * self.window)[:, None]


class VocoderStage(TrainingStage):
    """Spectral losses; from ``adversarial_from`` on, the discriminators as well."""

    def __init__(
        self,
        bank: SoundBank,
        model: Vocoder,
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
            if not isinstance(self.model, Vocoder):
                return self.model(mels).float()
            predicted = self.model.network(mels)
        waveform = self.model.synthesise(predicted.float())
        if step < self.adversarial_from:
            return waveform
        return self.model.projection(waveform, mels)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Errors on the first 1.28 s of held-out clips: log-mel L1 (nepers) and spectra."""
        rows = self.bank.held_out[:128]
        waves = self.bank.crop_waves(rows, torch.zeros_like(rows), 128)
        mel_errors, spectral = [], []
        for real in waves.split(32):
            mels = self.log_mel(real)
            false = model(mels)
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
