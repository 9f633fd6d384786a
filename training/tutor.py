"""The tutor of stage ``adversarial``: says whether a sound is what its words say.

The critic asks whether a sound could be real; one that could be, but is of another kind, hardly
troubles it. The tutor lets the listener (:mod:`training.listener`) hear what a call of the denoiser
decodes to and asks which of all captions it is. Its gradient goes straight into the denoiser
(reward feedback learning, arXiv:2304.05977). What it hears is varied, as the sounds were that it
learned from: otherwise the denoiser would find what pleases it and is no sound.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from training.listener import Listener, varied, with_gaps

__all__ = ["Tutor"]

SHARPNESS: Final = 16.0
"""Of the softmax over captions, about what the listener was trained with at its end."""


class Tutor:
    """A listener, unchanged, and the captions that a sound could have had."""

    def __init__(self, listener: Listener, captions: Tensor) -> None:
        """``captions``: CLAP embeddings [N, 512] of unit length."""
        self.listener = listener.to(captions.device).eval().requires_grad_(False)
        self.captions = torch.unique(captions, dim=0)

    def doubt(self, mels: Tensor, text: Tensor, generator: torch.Generator) -> Tensor:
        """Mean cross entropy in nats of ``mels`` [B, M, 64] with what they should be, [B, 512]."""
        heard = self.listener(with_gaps(varied(mels, generator), generator))
        others = torch.logsumexp(SHARPNESS * heard @ self.captions.T, dim=-1)
        return (others - SHARPNESS * (heard * text).sum(-1)).mean()
