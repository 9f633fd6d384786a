"""Stage ``ldm``: the denoiser on VAE latents, by rectified flow (arXiv:2209.03003) or DDPM.

As in AudioLDM, the condition is the CLAP embedding of the sound itself. In a share of the examples
it is that of a caption, and in a tenth it is zeros, for classifier-free guidance. Most examples
with a known note or tempo have it in their condition (:mod:`training.networks.notation`). Latents
and embeddings are computed from fresh crops, each used for several noise draws.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.loop import TrainingStage, autocast, optimize
from training.networks.denoiser import TransformerDenoiser
from training.networks.noising import Flow, Noising
from training.networks.notation import MEL_PER_LATENT
from training.sounds.bank import SoundBank, augment_gain, mix

__all__ = ["LdmStage"]

LENGTHS: Final = (64, 128, 128, 256)
"""Latent frames of the crops trained on: 2.56, 5.12 (twice as often) and 10.24 s."""
NOTATION_SHARE: Final = 0.7
"""Share of examples with their notation in the condition."""
IDLE_TEMPO_SHARE: Final = 0.15
"""Share of sounds without note and tempo that get a random tempo, which they must ignore."""
EVALUATED_TIMES: Final = (0.15, 0.4, 0.6, 0.8, 0.95)


class LdmStage(TrainingStage):
    """Regression of velocity or noise over crops of mixed lengths."""

    def __init__(
        self,
        bank: SoundBank,
        model: nn.Module,
        *,
        encoder: nn.Module,
        audio_tower: nn.Module,
        captions: Tensor,
        batch: int,
        repeats: int,
        learning_rate: float,
        lengths: tuple[int, ...] = LENGTHS,
        text_share: float = 0.45,
        null_share: float = 0.1,
        noising: Noising | None = None,
    ) -> None:
        """``batch`` counts examples of 5.12 s; ``captions`` are CLAP embeddings [N, 512]."""
        self.noising = noising or Flow()
        self.device, self.bank = bank.device, bank
        self.batch, self.repeats, self.lengths = batch, repeats, lengths
        self.text_share, self.null_share = text_share, null_share
        self.model = model.to(self.device)
        self.networks = nn.ModuleDict({"model": self.model})
        self.notated = isinstance(model, TransformerDenoiser)
        self.encoder = encoder.to(self.device).eval().requires_grad_(False)
        self.audio_tower = audio_tower.to(self.device).eval().requires_grad_(False)
        self.captions = captions.to(self.device)
        decayed = [item for item in model.parameters() if item.ndim > 1]
        others = [item for item in model.parameters() if item.ndim <= 1]
        self.optimizers = {
            "adam": torch.optim.AdamW(
                [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0}],
                lr=learning_rate,
                betas=(0.9, 0.97),
            )
        }

    @torch.no_grad()
    def _crops(self, frames: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Latents, audio embeddings, text embeddings and notations of fresh crops."""
        count = max(2, self.batch * 128 // frames // self.repeats)
        rows = self.bank.draw(count, generator)
        length = frames * MEL_PER_LATENT
        starts = self.bank.draw_starts(rows, length, generator)
        mels = augment_gain(self.bank.crop_mels(rows, starts, length), generator, decibels=6.0)
        text = self.captions[self.bank.draw_captions(rows, generator)]
        notations = _with_idle_tempi(self.bank.notations(rows, starts), generator)
        pairs = count // 8  # two sounds at once, under both captions
        mels = torch.cat((mix(mels[:pairs], mels[pairs : 2 * pairs]), mels[pairs:]))
        joined = functional.normalize(text[:pairs] + text[pairs : 2 * pairs], dim=-1)
        text = torch.cat((joined, text[pairs:]))
        notations[:pairs] = 0.0
        with autocast(self.device):
            latents, _ = self.encoder(mels)
            audio = self.audio_tower(mels)
        return latents.float(), audio.float(), text, notations

    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        """One batch: fresh crops, each with ``repeats`` times and noises."""
        draw = int(torch.randint(len(self.lengths), (), generator=generator, device=self.device))
        latents, audio, text, notations = (
            item.repeat_interleave(self.repeats, 0)
            for item in self._crops(self.lengths[draw], generator)
        )
        count = len(latents)
        _, condition, _ = self._conditions(audio, text, notations, generator)
        times = self.noising.draw_times(count, generator)
        noise = torch.randn(latents.shape, generator=generator, device=self.device)
        with autocast(self.device):
            loss = self._error(self.model, latents, noise, times, condition).mean()
        optimize(self.optimizers["adam"], loss, self.model.parameters())
        return {"loss": loss.item()}

    def _conditions(
        self, audio: Tensor, text: Tensor, notations: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding and condition of each example, and whether it is unconditional."""
        count = len(text)
        uniform = torch.rand(count, generator=generator, device=self.device)[:, None]
        embedding = torch.where(uniform < self.text_share, text, audio)
        draws = torch.rand(count, generator=generator, device=self.device)[:, None]
        notations = torch.where(draws < NOTATION_SHARE, notations, 0.0)
        condition = self._condition(embedding, notations)
        free = uniform > 1.0 - self.null_share
        return embedding, torch.where(free, 0.0, condition), free[:, 0]

    def _condition(self, embedding: Tensor, notations: Tensor) -> Tensor:
        """The condition as the network takes it: the embedding, and notation if it takes that."""
        return torch.cat((embedding, notations), dim=-1) if self.notated else embedding

    def _error(
        self, model: nn.Module, latents: Tensor, noise: Tensor, times: Tensor, condition: Tensor
    ) -> Tensor:
        prediction = model(self.noising.noised(latents, noise, times), times, condition)
        target = self.noising.target(latents, noise)
        return (prediction.float() - target).square().mean((1, 2, 3))

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Prediction error on held-out clips by condition, over a fixed grid of times."""
        generator = torch.Generator(device=self.device).manual_seed(0)
        rows = self.bank.held_out[:96]
        mels = self.bank.crop_mels(rows, torch.zeros_like(rows), 256)
        latents, _ = self.encoder(mels)
        audio, text = self.audio_tower(mels), self.captions[self.bank.caption_table[rows, 0]]
        notations = self.bank.notations(rows, torch.zeros_like(rows))
        unknown = torch.zeros_like(notations)
        conditions = {
            "audio": self._condition(audio, unknown),
            "text": self._condition(text, unknown),
            "null": self._condition(torch.zeros_like(text), unknown),
        }
        if self.notated:
            conditions["notation"] = self._condition(text, notations)
        sums = dict.fromkeys(conditions, 0.0)
        for fraction in EVALUATED_TIMES:
            noise = torch.randn(latents.shape, generator=generator, device=self.device)
            times = self.noising.times_at(torch.full((len(rows),), fraction, device=self.device))
            for name, condition in conditions.items():
                error = self._error(model, latents, noise, times, condition)
                sums[name] += error.mean().item()
        return {name: total / len(EVALUATED_TIMES) for name, total in sums.items()}


def _with_idle_tempi(notations: Tensor, generator: torch.Generator) -> Tensor:
    """Random tempi for some of the sounds that have neither note nor tempo.

    So a tempo does not change rain.
    """
    draws = torch.rand((2, len(notations)), generator=generator, device=notations.device)
    idle = (notations[:, 0] == 0) & (notations[:, 1] == 0) & (draws[0] < IDLE_TEMPO_SHARE)
    tempi = torch.where(idle, 60.0 + 120.0 * draws[1], notations[:, 1])
    return torch.stack((notations[:, 0], tempi, notations[:, 2]), dim=-1)
