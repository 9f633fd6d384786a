"""Stage ``low_notes``: the fundamental of a low note, by classification.

Trained on synthetic tones, most of them low, and on clips of kinds that have no pitch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.loop import autocast, optimize
from training.networks.vocoder.low_notes import fundamental, fundamental_loss
from training.sounds.tones import draw_tones
from training.vocoder.pitched import EDGE, EVALUATED, PitchedStage

__all__ = ["LowNotesStage"]


class LowNotesStage(PitchedStage):
    """Cross-entropy of the classes."""

    low_share = 0.6

    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        """One batch of tones and crops."""
        waves, notes = self.draw_waves(generator)
        mels = self.draw_mels(waves)
        with autocast(self.device):
            logits = self.model(mels)
        loss = _inner_loss(logits.float(), notes)
        optimize(self.optimizers["model"], loss, self.model.parameters())
        return {"note": loss.item()}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Measures on tones of a seed of their own, seen through the VAE.

        Returns:
            the loss, the share of low notes that are found, their error in cents, and the share
            of other frames that are taken for low notes.
        """
        tones, notes = draw_tones(EVALUATED, 128, torch.Generator().manual_seed(7), self.low_share)
        notes = notes.to(self.device)
        logits = model(self.decoded(self.log_mel(tones.to(self.device))))
        hertz, sure = (part[..., 0] for part in fundamental(logits))
        cents = 1200.0 * torch.log2(hertz / notes.clamp(min=1.0)).abs()
        low = (notes > 38.0) & (notes < 170.0)
        return {
            "note": _inner_loss(logits, notes).item(),
            "found": sure[low].float().mean().item(),
            "cents": cents[low & sure].median().item() if bool((low & sure).any()) else 1200.0,
            "mistaken": sure[notes == 0.0].float().mean().item(),
        }


def _inner_loss(logits: Tensor, notes: Tensor) -> Tensor:
    return fundamental_loss(logits[:, EDGE:-EDGE], notes[:, EDGE:-EDGE])
