"""Stage ``partials``: which sinusoids a log-mel holds, and at which frequencies.

The network is regressed on the sounds of the bank and on synthetic tones. Every other log-mel is
seen through the VAE, whose error the network learns to undo.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.loop import TrainingStage, autocast, optimize
from training.networks.mel import LogMel
from training.networks.vocoder.bass import fundamental_loss
from training.networks.vocoder.cells import cell_centres, cell_widths
from training.networks.vocoder.partials import Cells, Partials
from training.sounds.bank import SoundBank
from training.sounds.tones import draw_tones
from training.vocoder.partial_targets import Targets, partials_of

__all__ = ["PartialsStage"]

QUIETEST: Final = 1e-5
"""Amplitudes below this are all the same."""
EDGE: Final = 3
"""Frames at either end of a crop whose truth is half made of reflections."""
PITCHED: Final = frozenset(
    {"instrument", "music_phrase", "music_loop", "synth", "bass", "alarm", "drum_loop"}
)
"""Categories whose clips may be low notes; of the others it is known that they are not."""
FLOOR: Final = 0.02
"""How much silent cells count beside the loudest."""
LOWEST_HZ: Final = 50.0
"""Below this, errors count in Hz."""
NOTE_WEIGHT: Final = 0.2
SALIENCE: Final = 0.4
"""Exponent by which loud partials count more than quiet ones."""


class PartialsStage(TrainingStage):
    """Regression of partials; ``tone_share`` of each batch is made on the fly."""

    def __init__(
        self,
        bank: SoundBank,
        model: Partials,
        autoencoder: nn.Module,
        *,
        batch: int,
        frames: int,
        learning_rate: float,
        tone_share: float,
    ) -> None:
        self.device, self.bank, self.autoencoder = bank.device, bank, autoencoder
        self.batch, self.frames = batch, frames
        self.num_tones = round(tone_share * batch)
        notes = [math.nan if clip.category in PITCHED else 0.0 for clip in bank.clips]
        self.notes = torch.tensor(notes, device=self.device)
        self.model = model.to(self.device)
        self.log_mel = LogMel().to(self.device)
        self.networks = nn.ModuleDict({"model": model})
        optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.99))
        self.optimizers = {"model": optimizer}

    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        """One batch of tones and crops."""
        waves, notes = self._waves(generator)
        with torch.no_grad():
            mels = self._heard(self.log_mel(waves))
            targets = partials_of(waves)
        with autocast(self.device):
            predicted = self.model(mels)
        losses = partial_losses(predicted, targets, notes)
        total = losses["cents"] / 20.0 + losses["amplitude"] + losses["tonality"]
        total = total + NOTE_WEIGHT * losses["note"]
        optimize(self.optimizers["model"], total, self.model.parameters())
        return {name: loss.item() for name, loss in losses.items()}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Losses on held-out clips and on tones of a seed of their own, seen through the VAE."""
        rows = self.bank.held_out[:64]
        clips = self.bank.crop_waves(rows, torch.zeros_like(rows), 128)
        tones, notes = draw_tones(64, 128, torch.Generator(self.device).manual_seed(7))
        unknown = torch.full((len(clips), 128), math.nan)
        sums: dict[str, float] = {}
        for name, waves, truth in (("clips", clips, unknown), ("tones", tones, notes)):
            mels = self._decoded(self.log_mel(waves.to(self.device)))
            losses = partial_losses(model(mels), partials_of(waves), truth.to(self.device))
            sums |= {f"{name}_{key}": loss.item() for key, loss in losses.items()}
        return sums

    def _waves(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Tones, then crops of clips, ``[B, S]``, and their notes ``[B, M]``."""
        count = self.batch - self.num_tones
        rows = self.bank.draw(count, generator)
        starts = self.bank.draw_starts(rows, self.frames, generator)
        clips = self.bank.crop_waves(rows, starts, self.frames)
        decibels = torch.rand((count, 1), generator=generator, device=self.device) * 24.0
        clips = clips * 10.0 ** (-decibels / 20.0)
        tones, notes = draw_tones(self.num_tones, self.frames, generator)
        truth = self.notes[rows, None].expand(-1, self.frames)
        return torch.cat((tones.to(self.device), clips)), torch.cat((notes.to(self.device), truth))

    def _heard(self, mels: Tensor) -> Tensor:
        """``mels``, every other one as the VAE gives it back."""
        with autocast(self.device):
            decoded = self._decoded(mels[::2]).float()
        heard = mels.clone()
        heard[::2] = decoded
        return heard

    def _decoded(self, mels: Tensor) -> Tensor:
        mean, _ = self.autoencoder.encoder(mels)
        return self.autoencoder.decoder(mean)


def partial_losses(predicted: Cells, targets: Targets, notes: Tensor) -> dict[str, Tensor]:
    """Weighted means: pitch in cents (low notes in Hz, as far as they go), nepers, cross-entropy.

    The pitch counts where a partial is the loudest of the cells around it, the rest everywhere,
    loud cells more. ``notes`` is as :func:`fundamental_loss` takes it.
    """
    inside = slice(EDGE, -EDGE)
    offset, amplitude, logit, note = (part[:, inside] for part in predicted)
    real = Targets(
        targets.offset[:, inside], targets.amplitude[:, inside], targets.tonality[:, inside]
    )
    loudest = real.amplitude.amax((1, 2), keepdim=True).clamp(min=QUIETEST)
    salience = (real.amplitude / loudest).clamp(min=1e-6) ** SALIENCE
    around = functional.max_pool1d(real.amplitude, 3, stride=1, padding=1)
    peak = real.tonality.square() * (real.amplitude / around.clamp(min=1e-9)) ** 4
    hertz = (offset - real.offset).abs() * cell_widths().to(offset)
    cents = hertz * (1731.0 / cell_centres().to(offset).clamp(min=LOWEST_HZ))
    nepers = (amplitude - real.amplitude.clamp(min=QUIETEST).log()).abs()
    entropy = functional.binary_cross_entropy_with_logits(logit, real.tonality, reduction="none")
    return {
        "cents": _mean(cents, peak * salience),
        "amplitude": _mean(nepers, FLOOR + salience + peak),
        "tonality": _mean(entropy, FLOOR + salience),
        "note": fundamental_loss(note, notes[:, inside]),
    }


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean in which a frame with one partial counts as much as one with fifty."""
    total = weight.sum(2)
    frames = (values * weight).sum(2) / total.clamp(min=1e-6)
    counts = total.clamp(max=1.0)
    return (frames * counts).sum() / counts.sum().clamp(min=1e-6)
