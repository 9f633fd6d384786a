"""Stage ``adversarial``: the trained denoiser learns to give realistic estimates in few steps.

This is adversarial diffusion distillation (arXiv:2311.17042) without a teacher. Regression alone
answers a noisy latent with the mean of all sounds that it could be. Here a critic
(:mod:`training.networks.critic`) rates the decoded estimate, which must therefore be a sound. The
regression remains with full weight without a condition, which guidance leads away from. With a
condition, its weight falls with the noise. Few steps and little guidance then suffice.

A second critic (:mod:`training.networks.grain`) may see to the grain of a sound, which the last
calls settle. Then the regression gives way in them too.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.ldm import LdmStage
from training.loop import autocast, optimize
from training.metrics import frechet_distance
from training.networks.critic import Critic, Features, hinge
from training.networks.grain import GrainCritic, texture_distance
from training.networks.sampling import sample_flow, shifted
from training.sounds.bank import SoundBank

__all__ = ["GUIDANCE", "STEPS", "AdversarialStage"]

STEPS: Final = 4
GUIDANCE: Final = 1.5
"""Guidance scale for sampling a denoiser of this stage."""
PURE_SHARE: Final = 0.2
"""Share of examples that are noise alone, because the first call determines the sound."""
MIN_TIME: Final = 0.05
MISMATCHED: Final = 0.5
"""Weight of real sounds under another's condition, which the critic must reject."""
GRAIN_TIME: Final = 0.6
"""Below it the regression, whose answer is a mean, gives way to the critic of grain."""
TEXTURE_WEIGHT: Final = 1.0
BETAS: Final = (0.0, 0.95)
EVALUATED_FRAMES: Final = 64


class AdversarialStage(LdmStage):
    """Denoiser against critic, over crops of mixed lengths; continues a trained denoiser."""

    def __init__(
        self,
        bank: SoundBank,
        model: nn.Module,
        *,
        decoder: nn.Module,
        learning_rate: float,
        critic_learning_rate: float,
        weight: float,
        grain_weight: float = 0.0,
        **regression: Any,
    ) -> None:
        """``weight`` is that of the critic's logits beside the regression.

        ``grain_weight`` is that of a second critic, which sees small patches of the log-mel.

        ``regression``: the other arguments of :class:`training.ldm.LdmStage`.
        """
        super().__init__(bank, model, learning_rate=learning_rate, **regression)
        self.weight = weight
        self.decoder = decoder.to(self.device).eval().requires_grad_(False)
        self.critic = Critic(self.audio_tower).to(self.device)
        self.networks["critic"] = self.critic
        self.grain_weight = grain_weight
        self.grain_critic: GrainCritic | None = None
        adam = torch.optim.AdamW
        self.optimizers = {
            "model": adam(model.parameters(), lr=learning_rate, betas=BETAS, weight_decay=0.0),
            "critic": adam(
                self.critic.parameters(), lr=critic_learning_rate, betas=BETAS, weight_decay=0.0
            ),
        }
        if grain_weight:
            self.grain_critic = GrainCritic().to(self.device)
            self.networks["grain_critic"] = self.grain_critic
            self.optimizers["grain_critic"] = adam(
                self.grain_critic.parameters(), lr=critic_learning_rate, betas=BETAS
            )

    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        """One batch: the denoiser first, then the critics on what it made."""
        draw = int(torch.randint(len(self.lengths), (), generator=generator, device=self.device))
        latents, audio, text, notations = self._crops(self.lengths[draw], generator)
        count = len(latents)
        embedding, condition, free = self._conditions(audio, text, notations, generator)
        bound = (~free).nonzero()[:, 0]
        embedding = embedding[bound]
        times = self._times(count, generator)
        noise = torch.randn(latents.shape, generator=generator, device=self.device)
        noisy = self.noising.noised(latents, noise, times)
        self.networks.requires_grad_(False)
        self.model.requires_grad_(True)
        with autocast(self.device):
            with torch.no_grad():
                # Real sounds are decoded too, so that the decoder gives nothing away.
                real = self.decoder(latents[bound])
            velocity = self.model(noisy, times, condition).float()
            error = (velocity - self.noising.target(latents, noise)).square().mean((1, 2, 3))
            regression = (torch.where(free, 1.0, self._kept(times)) * error).mean()
            made = self.decoder((noisy - times[:, None, None, None] * velocity)[bound])
            features = self.audio_tower.features(made)
            losses = self._fooling(features, embedding) | self._grain(made, real)
        optimize(
            self.optimizers["model"], regression + sum(losses.values()), self.model.parameters()
        )
        measures = {"error": error.mean().item()}
        measures |= {name: loss.item() for name, loss in losses.items()}
        features = [item.detach() for item in features[0]], features[1].detach()
        measures |= self._criticise(real, features, embedding)
        return measures | self._criticise_grain(real, made.detach())

    def _kept(self, times: Tensor) -> Tensor:
        """What is kept of the regression under a condition."""
        kept = 1.0 - times
        return kept * (times / GRAIN_TIME).clamp(max=1.0) if self.grain_weight else kept

    def _times(self, count: int, generator: torch.Generator) -> Tensor:
        uniform = torch.rand(2, count, generator=generator, device=self.device)
        return torch.where(uniform[1] < PURE_SHARE, 1.0, shifted(uniform[0]).clamp(min=MIN_TIME))

    def _fooling(self, made: Features, embedding: Tensor) -> dict[str, Tensor]:
        logits = self.critic(made, embedding)
        return {"fooled": -self.weight * torch.stack([logit.mean() for logit in logits]).sum()}

    def _grain(self, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """What the grain of log-mels ``made`` costs, [B, M, 64] as ``real``."""
        if self.grain_critic is None:
            return {}
        return {
            "grain": -self.grain_weight * self.grain_critic(made).mean(),
            "texture": TEXTURE_WEIGHT * texture_distance(made.float(), real.float()),
        }

    def _criticise(self, real: Tensor, made: Features, embedding: Tensor) -> dict[str, float]:
        self.critic.requires_grad_(True)
        with autocast(self.device):
            features = self.audio_tower.features(real)
            loss = hinge(self.critic(features, embedding), self.critic(made, embedding))
            other = self.critic.on_pooled(features, embedding.roll(1, 0))
            loss = loss + MISMATCHED * functional.relu(1.0 + other).mean()
        optimize(self.optimizers["critic"], loss, self.critic.parameters())
        return {"critic": loss.item()}

    def _criticise_grain(self, real: Tensor, made: Tensor) -> dict[str, float]:
        if self.grain_critic is None:
            return {}
        self.grain_critic.requires_grad_(True)
        with autocast(self.device):
            loss = hinge([self.grain_critic(real)], [self.grain_critic(made)])
        optimize(self.optimizers["grain_critic"], loss, self.grain_critic.parameters())
        return {"grain_critic": loss.item()}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Velocity errors, and ``frechet``: the distance of takes to the held-out clips.

        The distance is measured with the tower that the critic uses. It shows the progress of
        training, not the quality of a model.
        """
        generator = torch.Generator(device=self.device).manual_seed(0)
        rows = self.bank.held_out[:96]
        mels = self.bank.crop_mels(rows, torch.zeros_like(rows), 4 * EVALUATED_FRAMES)
        latents, _ = self.encoder(mels)
        noise = torch.randn(latents.shape, generator=generator, device=self.device)
        text = self.captions[self.bank.caption_table[rows, 0]]
        notations = self.bank.notations(rows, torch.zeros_like(rows))
        condition = self._condition(text, notations)
        made = sample_flow(model, condition, noise, steps=STEPS, guidance=GUIDANCE)
        embeddings = [
            self.audio_tower(self.decoder(item)).float().cpu().numpy() for item in (latents, made)
        ]
        return super().evaluate(model) | {"frechet": frechet_distance(*embeddings)}
