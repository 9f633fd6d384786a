"""Stage ``clap``: one embedding space for sounds and text.

A convolutional audio tower is trained against the distilled text tower by InfoNCE (CLAP,
arXiv:2206.04769). Captions of one kind of sound are near-duplicates, so the targets are soft: the
softmax over the similarities of the captions themselves. Captions that name different notes count
as less similar.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.loop import TrainingStage, autocast, optimize
from training.networks.clap import Clap
from training.sounds.bank import SoundBank, augment_gain, mix

__all__ = ["CROPS", "ClapStage", "caption_recall"]

CROPS: Final = (128, 256, 512)
"""Mel frames of the crops trained on: 1.28, 2.56 and 5.12 s."""


class ClapStage(TrainingStage):
    """Soft-target InfoNCE over crops of mixed lengths."""

    def __init__(
        self,
        bank: SoundBank,
        model: Clap,
        sentences: Tensor,
        *,
        batch: int,
        learning_rate: float,
        target_temperature: float = 0.05,
    ) -> None:
        self.device, self.bank, self.batch = bank.device, bank, batch
        self.model = model.to(self.device)
        self.networks = nn.ModuleDict({"model": self.model})
        self.sentences = sentences.to(self.device)
        self.target_temperature = target_temperature
        self.optimizers = {
            "adam": torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.02)
        }

    def _batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        choice = int(torch.randint(4, (), generator=generator, device=self.device))
        frames = CROPS[min(choice, len(CROPS) - 1) if choice else 1]
        rows = self.bank.draw(self.batch, generator)
        mels = self.bank.crop_mels(rows, self.bank.draw_starts(rows, frames, generator), frames)
        mels = augment_gain(mels, generator, decibels=15.0)
        sentences = self.sentences[self.bank.draw_captions(rows, generator)]
        notes = self.bank.midi[rows]
        pairs = self.batch // 8  # two sounds at once, and both captions
        mixed = mix(mels[:pairs], mels[pairs : 2 * pairs])
        joined = functional.normalize(sentences[:pairs] + sentences[pairs : 2 * pairs], dim=-1)
        mels = torch.cat((mixed, mels[pairs:]))
        sentences = torch.cat((joined, sentences[pairs:]))
        notes = torch.cat((torch.full_like(notes[:pairs], -1), notes[pairs:]))
        return _mask_bands(mels, generator), sentences, notes

    def _loss(self, model: nn.Module, mels: Tensor, sentences: Tensor, notes: Tensor) -> Tensor:
        audio, text = model.audio(mels), model.text(sentences)
        logits = audio @ text.T * model.log_temperature.clamp(max=4.6).exp()
        targets = torch.softmax(_similarity(sentences, notes) / self.target_temperature, dim=-1)
        return 0.5 * (
            functional.cross_entropy(logits, targets) + functional.cross_entropy(logits.T, targets)
        )

    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        """One batch of crops with a caption each."""
        mels, sentences, notes = self._batch(generator)
        with autocast(self.device):
            loss = self._loss(self.model, mels, sentences, notes)
        optimize(self.optimizers["adam"], loss, self.model.parameters())
        return {"loss": loss.item()}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Recall of a held-out clip's own caption among one caption of each held-out clip."""
        return caption_recall(self.bank, model.audio, model.text(self.sentences))


def caption_recall(bank: SoundBank, tower: nn.Module, captions: Tensor) -> dict[str, float]:
    """Recall at 1 and at 10 of a held-out clip's own caption.

    Args:
        bank: the clips.
        tower: embeds log-mels.
        captions: embeddings of all captions of the bank, [N, 512]; one of each held-out clip is a
            candidate.
    """
    rows = bank.held_out
    mels = bank.crop_mels(rows, torch.zeros_like(rows), 256)
    audio = torch.cat([tower(chunk) for chunk in mels.split(64)])
    own_captions = bank.caption_table[rows, 0]
    distinct = own_captions.unique()
    scores = audio @ captions[distinct].T
    own = scores.gather(1, torch.searchsorted(distinct, own_captions)[:, None])
    rank = (scores > own).sum(1)
    return {
        "recall_at_1": (rank < 1).float().mean().item(),
        "recall_at_10": (rank < 10).float().mean().item(),
    }


def _similarity(sentences: Tensor, notes: Tensor) -> Tensor:
    """Similarity of captions [B, B]: of the sentences, less where they name other notes."""
    both = (notes[:, None] >= 0) & (notes[None] >= 0)
    distance = (notes[:, None] - notes[None]).abs().clamp(max=12) / 12.0
    return sentences @ sentences.T - torch.where(both, 0.1 * (distance > 0) + 0.2 * distance, 0.0)


def _mask_bands(mels: Tensor, generator: torch.Generator) -> Tensor:
    """SpecAugment (arXiv:1904.08779): one band of up to 8 mels silenced in half of the clips."""
    shape = (mels.shape[0], 1, 1)
    start = torch.randint(64, shape, generator=generator, device=mels.device)
    width = torch.randint(9, shape, generator=generator, device=mels.device)
    keep = torch.rand(shape, generator=generator, device=mels.device) < 0.5
    bands = torch.arange(64, device=mels.device)
    hit = (bands >= start) & (bands < start + width) & keep
    return torch.where(hit, mels.amin((1, 2), keepdim=True), mels)
