"""Stage ``partials``: which sinusoids a log-mel holds, and at which frequencies.

The network is regressed on the sounds of the bank and on synthetic tones. Every other log-mel is
seen through the VAE, whose error the network learns to undo.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.loop import autocast, optimize
from training.networks.vocoder.cells import cell_centres, cell_widths
from training.networks.vocoder.partials import Cells
from training.sounds.tones import draw_tones
from training.vocoder.partial_targets import Targets, partials_of
from training.vocoder.pitched import EDGE, EVALUATED, PitchedStage

__all__ = ["PartialsStage"]

QUIETEST: Final = 1e-5
"""Amplitudes below this are all the same."""
FLOOR: Final = 0.02
"""How much silent cells count beside the loudest."""
LOWEST_HZ: Final = 50.0
"""Below this, errors count in Hz."""
SALIENCE: Final = 0.4
"""Exponent by which loud partials count more than quiet ones."""


class PartialsStage(PitchedStage):
    """Regression of partials on tones and clips."""

    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        """One batch of tones and crops."""
        waves, _ = self.draw_waves(generator)
        mels = self.draw_mels(waves)
        with torch.no_grad():
            targets = partials_of(waves)
        with autocast(self.device):
            predicted = self.model(mels)
        losses = partial_losses(predicted, targets)
        total = losses["cents"] / 20.0 + losses["amplitude"] + losses["tonality"]
        optimize(self.optimizers["model"], total, self.model.parameters())
        return {name: loss.item() for name, loss in losses.items()}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Losses on held-out clips and on tones of a seed of their own, seen through the VAE."""
        rows = self.bank.held_out[:EVALUATED]
        clips = self.bank.crop_waves(rows, torch.zeros_like(rows), 128)
        tones, _ = draw_tones(EVALUATED, 128, torch.Generator(self.device).manual_seed(7))
        sums: dict[str, float] = {}
        for name, waves in (("clips", clips), ("tones", tones.to(self.device))):
            losses = partial_losses(model(self.decoded(self.log_mel(waves))), partials_of(waves))
            sums |= {f"{name}_{key}": loss.item() for key, loss in losses.items()}
        return sums


def partial_losses(predicted: Cells, targets: Targets) -> dict[str, Tensor]:
    """Weighted means: pitch in cents (low notes in Hz, as far as they go), nepers, cross-entropy.

    The pitch counts where a partial is the loudest of the cells around it, the rest everywhere,
    loud cells more.
    """
    inside = slice(EDGE, -EDGE)
    offset, amplitude, logit = (part[:, inside] for part in predicted)
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
    }


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean in which a frame with one partial counts as much as one with fifty."""
    total = weight.sum(2)
    frames = (values * weight).sum(2) / total.clamp(min=1e-6)
    counts = total.clamp(max=1.0)
    return (frames * counts).sum() / counts.sum().clamp(min=1e-6)
