"""Stage ``listener``: a small audio tower that ranks candidates.

The denoiser is trained against a critic on the CLAP tower's features, so that tower detects its
errors least. The listener is smaller, and nothing is trained against it. It learns from other
variations of the sounds: equalisation, bandwidth, noise floor, gaps, other sounds underneath. It
shares CLAP's text side and the architecture of the judge.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.clap import CROPS, caption_recall
from training.loop import TrainingStage, autocast, optimize
from training.networks.listener import RANGE, ListenerNetwork
from training.sounds.bank import SoundBank

__all__ = ["ListenerStage"]

DROPOUT: Final = 0.2
TARGET_TEMPERATURE: Final = 0.05


class ListenerStage(TrainingStage):
    """Classification among all captions: cross entropy with soft targets, over varied crops."""

    def __init__(
        self,
        bank: SoundBank,
        model: ListenerNetwork,
        *,
        sentences: Tensor,
        captions: Tensor,
        batch: int,
        learning_rate: float,
    ) -> None:
        """``sentences`` [N, 384] and ``captions`` [N, 512] are embeddings of all captions."""
        self.device, self.bank, self.batch = bank.device, bank, batch
        self.sentences, self.captions = sentences.to(self.device), captions.to(self.device)
        self.model = model.to(self.device)
        self.log_temperature = nn.Parameter(torch.tensor(3.0, device=self.device))
        scale = nn.ParameterDict({"log_temperature": self.log_temperature})
        self.networks = nn.ModuleDict({"model": self.model, "scale": scale})
        self.optimizers = {
            "adam": torch.optim.AdamW(
                self.networks.parameters(), lr=learning_rate, weight_decay=0.03
            )
        }

    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        """One batch; half of the batches are two sounds at once, one under the other."""
        mels, wanted = self._batch(generator)
        with autocast(self.device):
            pooled = self.model.pooled(_with_gaps(mels, generator))
            kept = torch.rand(pooled.shape, generator=generator, device=self.device) > DROPOUT
            embedding = self.model.embedding(pooled * kept / (1.0 - DROPOUT))
            loss = functional.cross_entropy(
                embedding @ self.captions.T * self.log_temperature.exp(), wanted
            )
        optimize(self.optimizers["adam"], loss, self.networks.parameters())
        return {"loss": loss.item()}

    def _batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        draw = int(torch.randint(4, (), generator=generator, device=self.device))
        frames = CROPS[draw] if draw < len(CROPS) else CROPS[1]
        rows = self.bank.draw(self.batch, generator)
        mels = self.bank.crop_mels(rows, self.bank.draw_starts(rows, frames, generator), frames)
        mels = _varied(mels, generator)
        own = self.sentences[self.bank.draw_captions(rows, generator)]
        wanted = torch.softmax(own @ self.sentences.T / TARGET_TEMPERATURE, dim=-1)
        uniform = torch.rand(1 + self.batch, generator=generator, device=self.device)
        if uniform[0] < 0.5:
            # Mostly one of the two (mixup, arXiv:1710.09412).
            share = (0.5 * uniform[1:].square()).clamp(min=0.02)
            over, under = (1.0 - share)[:, None, None], share[:, None, None]
            mels = torch.logaddexp(mels + over.log(), mels.flip(0) + under.log())
            wanted = over[..., 0] * wanted + under[..., 0] * wanted.flip(0)
        return mels, wanted

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Recall of a held-out clip's own caption among one caption of each held-out clip."""
        return caption_recall(self.bank, model, self.captions)


def _varied(mels: Tensor, generator: torch.Generator) -> Tensor:
    """``mels`` [B, M, 64] from their loudest cell down, each in some way another recording.

    Equalised, and some of them dull, smeared, noisy, or over a floor of noise.
    """
    count, device = len(mels), mels.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand((count, *shape), generator=generator, device=device)

    def normal(*shape: int) -> Tensor:
        return torch.randn((count, *shape), generator=generator, device=device)

    def some(share: float) -> Tensor:
        return uniform(1, 1) < share

    bands = torch.arange(64.0, device=device)
    waves = torch.cos(bands * torch.arange(1, 5, device=device)[:, None] * (math.pi / 64))
    mels = mels - mels.amax((1, 2), keepdim=True)
    mels = mels + (0.35 * normal(4) @ waves)[:, None]
    above = (bands - 36.0 - 28.0 * uniform(1, 1)).clamp(min=0.0)
    mels = torch.where(some(0.2), mels - 0.4 * above, mels)
    smeared = functional.avg_pool2d(mels[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
    mels = torch.where(some(0.2), smeared, mels)
    mels = torch.where(some(0.4), mels + 0.4 * uniform(1, 1) * normal(*mels.shape[1:]), mels)
    slope = (4.0 * uniform(1, 1) - 2.0) * (bands / 64 - 0.5)
    floor = 5.0 * uniform(1, 1) - RANGE + slope + 0.5 * normal(*mels.shape[1:])
    return torch.where(some(0.5), torch.logaddexp(mels, floor), mels)


def _with_gaps(mels: Tensor, generator: torch.Generator) -> Tensor:
    """SpecAugment (arXiv:1904.08779): a gap in time and one in frequency, each in half of them."""
    count, device = len(mels), mels.device
    silence = mels.amin((1, 2), keepdim=True)
    for axis, longest in ((1, 40), (2, 10)):
        size = mels.shape[axis]
        draws = torch.rand(3, count, 1, generator=generator, device=device)
        length = 1 + draws[0] * (longest - 1)
        place = torch.arange(size, device=device) - draws[1] * (size - length)
        gap = (place >= 0) & (place < length) & (draws[2] < 0.5)
        mels = torch.where(gap.unsqueeze(3 - axis), silence, mels)
    return mels
