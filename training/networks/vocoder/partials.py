"""The network that reads from a log-mel which sinusoids it holds, and at which frequencies.

At the mel's frame rate it predicts for every cell (:mod:`training.networks.vocoder.cells`) where in
it a partial is, how loud, and whether there is one at all.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from training.networks.mel import NUM_MELS
from training.networks.vocoder.cells import NUM_CELLS
from training.networks.vocoder.convnext import CENTRE, SPREAD, Trunk
from training.networks.vocoder.lone_partials import LonePartials

__all__ = ["Cells", "Partials"]

TRUST: Final = 4.0
MISTRUST: Final = 40.0
"""Initial logit of taking the estimate of a lone partial, and what its excess subtracts."""


class Cells(NamedTuple):
    """What the cells hold; each ``[B, M, NUM_CELLS]``."""

    offset: Tensor
    """Cell widths from the centre of the cell."""
    amplitude: Tensor
    """Log of the magnitude, nepers of full scale."""
    tonality: Tensor
    """Logit of there being a partial."""


class Partials(nn.Module):
    """``log_mel [B, M, 64] -> Cells``."""

    def __init__(self, width: int = 192, depth: int = 6, expansion: int = 3) -> None:
        super().__init__()
        self.trunk = Trunk(width, depth, expansion, 4 * NUM_CELLS, 3 * NUM_MELS)
        nn.init.zeros_(self.trunk.head.weight)
        self.guess = LonePartials()

    def forward(self, log_mel: Tensor) -> Cells:
        """What the cells hold."""
        with torch.autocast(log_mel.device.type, enabled=False):
            lone = self.guess(log_mel.float())
        of_bands = self.guess.of_bands
        # The trunk standardises as if all features were log-mels.
        guessed = (CENTRE + SPREAD * part[..., of_bands] for part in (lone.offset, lone.excess))
        outputs = self.trunk(torch.cat((log_mel, *guessed), dim=-1)).float()
        doubt, more, louder, tonality = outputs.chunk(4, dim=-1)
        trust = torch.sigmoid(TRUST - MISTRUST * lone.excess - doubt)
        amplitude = torch.lerp(lone.level, lone.amplitude, trust)
        offset = trust * lone.offset + more
        return Cells(offset, amplitude + louder, tonality + TRUST * trust)
