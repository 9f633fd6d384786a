"""Phases that go on: each partial's frequency, summed up along the partial.

A partial moves from cell to cell. Every cell belongs to the loudest cell near it, and takes up
the phase that this one had in the frame before: the identity phase locking of J. Laroche and
M. Dolson (IEEE Trans. Speech and Audio Processing 7, 1999), but from predicted frequencies. The
sum along these paths over all frames takes log2(frames) steps (W. D. Hillis and G. L. Steele,
"Data Parallel Algorithms", CACM 29, 1986), because paths compose.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["carried", "peaks_near"]

REACH: Final = 2
"""Cells to either side among which the loudest is looked for."""
DOUBLINGS: Final = 12
"""Paths are followed over 2 ** 12 frames: 41 s, four times the longest window."""


def peaks_near(level: Tensor) -> Tensor:
    """The loudest cell within :data:`REACH` of each, int64, like ``level [B, M, K]``."""
    cells = level.shape[2]
    padded = functional.pad(level, (REACH, REACH), value=-1e9)
    numbers = torch.arange(cells, device=level.device).expand(level.shape)
    best, peak = level, numbers
    for shift in (-1, 1, -2, 2):
        other = padded[:, :, REACH + shift : REACH + shift + cells]
        louder = other > best
        best, peak = torch.where(louder, other, best), torch.where(louder, numbers + shift, peak)
    return peak


def carried(advance: Tensor, source: Tensor, phase: Tensor, start: Tensor) -> Tensor:
    """Phases in cycles ``[B, M, K]``, at the centre of each frame.

    Args:
        advance: Cycles since the frame before, ``[B, M, K]``.
        source: The cell in the frame before that each cell goes on from, int64.
        phase: What the phases are in frame ``start``, ``[B, K]`` or ``[1, K]``.
        start: int64 ``[1]``; in frames before it every cell runs backwards by itself.
    """
    frames, cells = advance.shape[1], advance.shape[2]
    begun = torch.arange(frames, device=advance.device)[:, None] > start
    itself = torch.arange(cells, device=source.device).expand(source.shape)
    run_up = torch.cumsum(torch.where(begun, 0.0, advance), dim=1)
    total, origin = _paths(
        torch.where(begun, advance, 0.0), torch.where(begun, source, itself), itself
    )
    initial = phase[:, None] + torch.zeros_like(advance)
    forward = total + torch.gather(initial, 2, origin)
    return _fraction(torch.where(begun, forward, initial + run_up - run_up[:, -1:]))


def _paths(total: Tensor, origin: Tensor, itself: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the advances along each path since the first frame, and the cell it began in."""
    frames = total.shape[1]
    for doubling in range(DOUBLINGS):
        step = 2**doubling
        earlier = functional.pad(total, (0, 0, step, 0))[:, :frames]
        sooner = torch.cat((itself[:, :step], origin), dim=1)[:, :frames]
        total = _fraction(total + torch.gather(earlier, 2, origin))
        origin = torch.gather(sooner, 2, origin)
    return total, origin


def _fraction(cycles: Tensor) -> Tensor:
    return cycles - torch.floor(cycles)
