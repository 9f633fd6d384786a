"""The fundamental of a low note, by classification, and its partials put in line.

Below about 150 Hz, partials are nearer to one another than the bands of a mel, and none can be
read alone. All of them together tell the fundamental. There is a class for every 20 cents, blurred
for training and read as a mean around the best, as in CREPE (arXiv:1802.06182). One more class
stands for everything that is not one harmonic low note.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.vocoder.convnext import Trunk

__all__ = ["NUM_CLASSES", "LowNotes", "fundamental", "fundamental_loss", "in_line"]

LOWEST_HZ: Final = 36.0
HIGHEST_HZ: Final = 180.0
STEP_CENTS: Final = 20.0
NUM_NOTES: Final = round(1200.0 * math.log2(HIGHEST_HZ / LOWEST_HZ) / STEP_CENTS) + 1
NUM_CLASSES: Final = NUM_NOTES + 1
"""The last class is none."""
NUM_BANDS: Final = 48
"""The bands below 3.8 kHz, where the partials of a low note are."""
BLUR: Final = 1.25
"""Standard deviation of the training targets in classes."""
AROUND: Final = 4
"""Classes to either side of the best that the mean is taken over."""
SURE: Final = 0.5
"""Probability around the best from which partials are put in line."""
CROWDED_HZ: Final = 112.0
"""Notes above this have partials far enough apart to be read one by one."""
TOLERANCE: Final = 0.25
"""Share of the fundamental by which a partial may be off its place to be put there."""
FURTHEST_HZ: Final = 10.0
"""The same in Hz; more than a cell is another partial."""


class LowNotes(nn.Module):
    """``log_mel [B, M, 64] -> logits [B, M, NUM_CLASSES]`` of the low note in each frame."""

    def __init__(self, width: int = 128, depth: int = 4, expansion: int = 3) -> None:
        super().__init__()
        self.trunk = Trunk(width, depth, expansion, NUM_CLASSES, NUM_BANDS)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Logits of the classes; the last one is none."""
        return self.trunk(log_mel[..., :NUM_BANDS]).float()


def fundamental(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Frequency in Hz and whether there is one, ``[B, M, 1]`` each, of ``[B, M, NUM_CLASSES]``."""
    chances = torch.softmax(logits, dim=-1)[..., :-1]
    numbers = torch.arange(NUM_NOTES, device=logits.device).float()
    best = chances.argmax(dim=-1, keepdim=True).float()
    near = torch.where((numbers - best).abs() <= AROUND, chances, 0.0)
    mass = near.sum(dim=-1, keepdim=True)
    place = (near * numbers).sum(dim=-1, keepdim=True) / (mass + 1e-9)
    return LOWEST_HZ * torch.exp(place * (STEP_CENTS * math.log(2.0) / 1200.0)), mass > SURE


def in_line(hertz: Tensor, logits: Tensor) -> Tensor:
    """Frequencies ``[B, M, K]`` of partials, those near a multiple of the fundamental on it."""
    base, sure = fundamental(logits)
    multiple = torch.clamp(torch.round(hertz / base), min=1.0) * base
    near = (hertz - multiple).abs() < torch.clamp(TOLERANCE * base, max=FURTHEST_HZ)
    return torch.where(sure & (base < CROWDED_HZ) & near, multiple, hertz)


def fundamental_loss(logits: Tensor, hertz: Tensor) -> Tensor:
    """Cross-entropy against ``hertz [B, M]``: 0 where there is no low note, NaN where unknown."""
    place = 1200.0 / STEP_CENTS * torch.log2(torch.clamp(hertz.nan_to_num(), min=1.0) / LOWEST_HZ)
    numbers = torch.arange(NUM_NOTES, device=logits.device)
    notes = torch.exp(-0.5 * ((numbers - place[..., None]) / BLUR).square())
    low = (place > -0.5) & (place < NUM_NOTES - 0.5)
    notes = torch.where(low[..., None], notes / notes.sum(-1, keepdim=True).clamp(min=1e-6), 0.0)
    target = torch.cat((notes, (~low)[..., None].float()), dim=-1)
    losses = functional.cross_entropy(
        logits.transpose(1, 2), target.transpose(1, 2), reduction="none"
    )
    known = ~hertz.isnan()
    return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)
