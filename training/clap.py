"""Stage ``clap``: one space for sounds and words.

A convolutional audio tower against the distilled text tower, by InfoNCE (CLAP,
arXiv:2206.04769). Captions of one kind of sound are near-duplicates, so the targets are soft:
the softmax over the similarities of the captions themselves, where two captions that name
different notes count as unlike.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.loop import TrainingStage, autocast, optimize
from training.networks.mel import LogMel
from training.sounds.bank import SoundBank, augment_gain, mix

__all__ = [
    "AudioTower",
    "Clap",
    "ClapStage",
    "TextHead",
    "TextTower",
    "WaveTower",
    "caption_recall",
]

EMBEDDING: Final = 512
POOLED: Final = 2 * EMBEDDING + 256
CROPS: Final = (128, 256, 512)
"""Mel frames of the crops trained on: 1.28, 2.56 and 5.12 s."""
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

    Frequency is kept to the end (four bands of 256 channels), and the mean, peak and spread of
    every mel band by-pass the convolutions: they tell pitches apart.
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
        """What is heard on the way: maps [B, channels, M', bands], fine to coarse, and pooled."""
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
    """The text encoder as the model folder has it."""

    def __init__(self, encoder: nn.Module, head: TextHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """``input_ids, attention_mask`` int64 [B, N] -> embedding [B, 512]."""
        return self.head(self.encoder(input_ids, attention_mask))


class WaveTower(nn.Module):
    """The audio encoder as the model folder has it: ``waveform [B, S] -> embedding [B, 512]``."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.log_mel = LogMel()
        self.tower = tower

    def forward(self, waveform: Tensor) -> Tensor:
        """Embedding of ``waveform``, S at least 0.3 s."""
        return self.tower(self.log_mel(waveform))


class Clap(nn.Module):
    """Both towers, the text encoder itself left out (its sentence embeddings are the input)."""

    def __init__(self) -> None:
        super().__init__()
        self.audio = AudioTower()
        self.text = TextHead()
        self.log_temperature = nn.Parameter(torch.tensor(2.7))


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
        targets = torch.softmax(_likeness(sentences, notes) / self.target_temperature, dim=-1)
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
    """How often ``tower`` puts a held-out clip's own caption first, and among the first ten.

    ``captions`` [N, 512] are all of the bank's; one of each held-out clip is to choose from.
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


def _likeness(sentences: Tensor, notes: Tensor) -> Tensor:
    """Similarity of captions [B, B]: of the sentences, less where they name other notes."""
    both = (notes[:, None] >= 0) & (notes[None] >= 0)
    apart = (notes[:, None] - notes[None]).abs().clamp(max=12) / 12.0
    return sentences @ sentences.T - torch.where(both, 0.1 * (apart > 0) + 0.2 * apart, 0.0)


def _mask_bands(mels: Tensor, generator: torch.Generator) -> Tensor:
    """SpecAugment (arXiv:1904.08779): one band of up to 8 mels silenced in half of the clips."""
    shape = (mels.shape[0], 1, 1)
    start = torch.randint(64, shape, generator=generator, device=mels.device)
    width = torch.randint(9, shape, generator=generator, device=mels.device)
    keep = torch.rand(shape, generator=generator, device=mels.device) < 0.5
    bands = torch.arange(64, device=mels.device)
    hit = (bands >= start) & (bands < start + width) & keep
    return torch.where(hit, mels.amin((1, 2), keepdim=True), mels)
