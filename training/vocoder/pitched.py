"""What the stages of pitched sound share: batches of synthetic tones and of clips."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn

from training.loop import TrainingStage, autocast
from training.networks.mel import LogMel
from training.sounds.bank import SoundBank
from training.sounds.tones import draw_tones

__all__ = ["EDGE", "EVALUATED", "PitchedStage"]

EDGE: Final = 3
"""Frames at either end of a crop whose truth is half made of reflections."""
EVALUATED: Final = 32
"""Clips, and as many tones, of each evaluation."""
PITCHED: Final = frozenset(
    {"instrument", "music_phrase", "music_loop", "synth", "bass", "alarm", "drum_loop"}
)
"""Categories whose clips may be low notes; of the others it is known that they are not."""


class PitchedStage(TrainingStage):
    """A network of log-mels; ``tone_share`` of each batch are synthetic tones.

    At least ``low_share`` of the tones are low notes.
    """

    low_share: float = 0.25

    def __init__(
        self,
        bank: SoundBank,
        model: nn.Module,
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

    def draw_waves(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Tones, then crops of clips, ``[B, S]``, and their notes ``[B, M]``; NaN if unknown."""
        count = self.batch - self.num_tones
        rows = self.bank.draw(count, generator)
        starts = self.bank.draw_starts(rows, self.frames, generator)
        clips = self.bank.crop_waves(rows, starts, self.frames)
        decibels = torch.rand((count, 1), generator=generator, device=self.device) * 24.0
        clips = clips * 10.0 ** (-decibels / 20.0)
        tones, notes = draw_tones(self.num_tones, self.frames, generator, self.low_share)
        truth = self.notes[rows, None].expand(-1, self.frames)
        return torch.cat((tones.to(self.device), clips)), torch.cat((notes.to(self.device), truth))

    @torch.no_grad()
    def draw_mels(self, waves: Tensor) -> Tensor:
        """Log-mels of ``waves``, every other one as the VAE decodes it."""
        mels = self.log_mel(waves)
        with autocast(self.device):
            mels[::2] = self.decoded(mels[::2]).float()
        return mels

    def decoded(self, mels: Tensor) -> Tensor:
        """``mels`` through the VAE."""
        mean, _ = self.autoencoder.encoder(mels)
        return self.autoencoder.decoder(mean)
