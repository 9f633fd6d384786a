"""Stage ``fullband``: the envelope by regression, the texture against discriminators."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from server.fullband.analysis import BAND_EDGES_HZ, HOP, Array
from training.fullband.bank import FullbandBank
from training.fullband.critics import TextureCritics
from training.fullband.examples import Batch, draw_batch, plain_example
from training.fullband.network import UpperBandNetwork
from training.fullband.rendering import rendered, upper_of
from training.loop import TrainingStage, optimize

__all__ = ["GROUPS_HZ", "FullbandStage"]

GROUPS_HZ: Final = ((8_000.0, 12_000.0), (12_000.0, 16_000.0), (16_000.0, 20_000.0))
LEVEL_WEIGHT: Final = 0.5
MATCHING_WEIGHT: Final = 2.0
DECIBELS: Final = 10.0 / np.log(10.0)


class FullbandStage(TrainingStage):
    """Regression from the first step, discriminators from ``adversarial_from`` on.

    The trunk learns from the regression only. ``control`` trains the texture by nothing: its
    share of overtones stays a half, for comparison.
    """

    def __init__(
        self,
        bank: FullbandBank,
        model: UpperBandNetwork,
        device: torch.device,
        *,
        batch: int,
        frames: int,
        learning_rate: float,
        adversarial_from: int,
        critic_frames: int,
        critic_width: int,
        bf16: bool = False,
        control: bool = False,
    ) -> None:
        self.device, self.bank = device, bank
        self.batch, self.samples = batch, frames * HOP
        self.adversarial_from, self.critic_frames = adversarial_from, critic_frames
        self.bf16, self.control = bf16, control
        self.model = model.to(device)
        critics = TextureCritics(critic_width).to(device)
        self.networks = nn.ModuleDict({"model": model, "critics": critics})
        adam = torch.optim.AdamW
        texture = list(model.texture.parameters())
        chosen = {id(parameter) for parameter in texture}
        regressed = [p for p in model.parameters() if id(p) not in chosen]
        self.optimizers = {
            "envelope": adam(regressed, lr=learning_rate, weight_decay=0.01),
            "texture": adam(texture, lr=5e-4, betas=(0.8, 0.99)),
            "critics": adam(critics.parameters(), lr=3e-4, betas=(0.8, 0.99)),
        }
        self._groups = [_group(low, high) for low, high in GROUPS_HZ]
        self._standardise()

    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        """One batch of crops."""
        seed = int(torch.randint(2**31, (), generator=generator, device=self.device))
        numbers = np.random.default_rng(seed)
        batch = draw_batch(self.bank, self.batch, self.samples, numbers)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            states = self.model.states(self._tensor(batch.stacked("features")))
        states = states.float()
        envelope = self._envelope(batch, states)
        losses = self._regression(batch, envelope)
        optimizer = self.optimizers["envelope"]
        optimize(optimizer, sum(losses.values()), optimizer.param_groups[0]["params"])
        measures = {name: loss.item() for name, loss in losses.items()}
        if step >= self.adversarial_from and not self.control:
            logit = self.model.logit(states)
            measures |= self._adversarial(batch, envelope.detach(), logit, numbers)
        return measures

    def _regression(self, batch: Batch, envelope: Tensor) -> dict[str, Tensor]:
        """Distance of log power in each frame, and of the level of three bands in the crop."""
        floor = self._tensor(batch.stacked("floor"))[:, None, None]
        target = self._tensor(batch.stacked("target"))
        known = self._tensor(batch.stacked("known"))[:, None]
        predicted = torch.maximum(envelope, floor)
        distance = frame_distance(predicted, target, known)
        active = ((target > floor) | (predicted > floor)).any(-1).float()
        frames = (distance * active).sum() / active.sum().clamp(min=1.0)
        power = self._tensor(batch.stacked("power"))
        levels = torch.stack(
            [group_level_error(predicted, power, known, group) for group in self._groups]
        )
        return {"distance": frames, "levels": LEVEL_WEIGHT * levels.mean()}

    def _adversarial(
        self, batch: Batch, envelope: Tensor, logit: Tensor, numbers: np.random.Generator
    ) -> dict[str, float]:
        real, false, wall = self._excerpts(batch, envelope, logit, numbers)
        critics = self.networks["critics"].requires_grad_(False)
        with torch.no_grad():
            targets = critics(real, wall)
        judged = critics(false, wall)
        fooled = torch.stack([-score.mean() for score, _ in judged]).mean()
        matching = torch.stack(
            [
                (ours.mean((2, 3)) - theirs.mean((2, 3))).abs().mean()
                for (_, mine), (_, other) in zip(judged, targets, strict=True)
                for ours, theirs in zip(mine, other, strict=True)
            ]
        ).mean()
        texture = self.model.texture
        optimize(
            self.optimizers["texture"], fooled + MATCHING_WEIGHT * matching, texture.parameters()
        )
        critics.requires_grad_(True)
        pairs = zip(critics(real, wall), critics(false.detach(), wall), strict=True)
        loss = torch.stack(
            [
                functional.relu(1.0 - good).mean() + functional.relu(1.0 + bad).mean()
                for (good, _), (bad, _) in pairs
            ]
        ).mean()
        optimize(self.optimizers["critics"], loss, critics.parameters())
        return {"fooled": fooled.item(), "matching": matching.item(), "critics": loss.item()}

    def _excerpts(
        self, batch: Batch, envelope: Tensor, logit: Tensor, numbers: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The real and the rendered upper band of a part of each crop, at the same scale."""
        start = int(numbers.integers(envelope.shape[1] - self.critic_frames - 4) // 2 * 2)
        frames = slice(start, start + self.critic_frames)
        real = self._tensor(upper_of(batch, frames))
        false = rendered(batch, envelope, torch.sigmoid(logit), frames, numbers)
        scale = real.square().mean(1, keepdim=True).sqrt() + 1e-5
        return real / scale, false / scale, self._tensor(batch.stacked("wall_hz"))

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Errors on the beginnings of held-out clips, in dB of band power."""
        numbers = np.random.default_rng(0)
        distances: list[float] = []
        levels: list[list[float]] = [[] for _ in self._groups]
        for clip in self.bank.held_out:
            full = self.bank.crop(clip, 2 * self.samples, numbers)
            one = plain_example(full, clip.wall_hz)
            batch = Batch([one])
            envelope = self._envelope(batch, model.states(self._tensor(one.features[None])), model)
            predicted = envelope.clamp(min=one.floor)
            target, known = self._tensor(one.target[None]), self._tensor(one.known[None, None])
            active = (target > one.floor).any(-1)
            if bool(active.any()):
                distance = frame_distance(predicted, target, known)[active]
                distances.append(float(distance.mean()) * DECIBELS)
            for values, group in zip(levels, self._groups, strict=True):
                if (known[..., group] > 0).all():
                    power = self._tensor(one.power[None])
                    error = group_level_error(predicted, power, known, group)
                    values.append(float(error) * DECIBELS)
        names = ("low_db", "middle_db", "top_db")
        measures = {"distance_db": float(np.mean(distances))}
        return measures | {
            name: float(np.median(values)) if values else 0.0
            for name, values in zip(names, levels, strict=True)
        }

    def _envelope(self, batch: Batch, states: Tensor, model: nn.Module | None = None) -> Tensor:
        head = self.model if model is None else model
        reference = self._tensor(batch.stacked("reference"))[..., None]
        return head.log_power(states) + reference

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _standardise(self) -> None:
        """Mean and spread of each feature over some batches."""
        numbers = np.random.default_rng(1)
        drawn = draw_batch(self.bank, 32, self.samples, numbers)
        features = drawn.stacked("features").reshape(-1, self.model.mean.shape[0])
        self.model.mean.copy_(torch.from_numpy(features.mean(0)))
        self.model.spread.copy_(torch.from_numpy(features.std(0) + 1e-3))


def frame_distance(predicted: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Root mean square over the known bands of each frame, as in a log-spectral distance."""
    square = ((predicted - target).square() * known).sum(-1) / known.sum(-1).clamp(min=1.0)
    return torch.sqrt(square + 1e-3)


def group_level_error(predicted: Tensor, target: Tensor, known: Tensor, group: slice) -> Tensor:
    """Mean distance of the log mean power of a group of bands, where all of it is known."""
    ours, theirs = (
        torch.logsumexp(power[..., group].flatten(1), dim=1) for power in (predicted, target)
    )
    usable = known[:, 0, group].min(dim=-1).values
    return ((ours - theirs).abs() * usable).sum() / usable.sum().clamp(min=1.0)


def _group(low_hz: float, high_hz: float) -> slice:
    first, end = np.searchsorted(BAND_EDGES_HZ, (low_hz, high_hz))
    return slice(int(first), int(end))
