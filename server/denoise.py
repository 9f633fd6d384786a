"""One denoising run: the unet under guidance, window by window where the take is long."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from server.schedule import Latents, Steps
from server.session import Graph
from server.text import Embedding
from server.windows import Index, Windows

__all__ = ["GuidedUnet"]


@dataclass(frozen=True)
class GuidedUnet:
    """The estimate of the clean latent under classifier-free guidance (arXiv:2207.12598).

    ``condition`` is [W, D], one embedding a window, and ``unconditional`` [D]. At most
    ``max_batch`` windows go through the unet together, whatever the length and the takes.
    """

    unet: Graph
    steps: Steps
    windows: Windows
    condition: Embedding
    unconditional: Embedding
    guidance_scale: float
    max_batch: int = 4

    def __call__(self, x: Latents, step: int) -> Latents:
        """The clean estimate [B, C, T, F] of ``x`` [B, C, T, F] at ``step``."""
        frames = self.windows.at(step)
        total = np.zeros_like(x)
        covered = np.zeros((self.windows.total, 1), np.float32)
        for part in self._parts(len(x), frames):
            crops = np.stack([x[take][:, frames[window]] for take, window in part])
            clean = self._estimate(crops, self.condition[[window for _, window in part]], step)
            for (take, window), estimate in zip(part, clean, strict=True):
                weights = self.windows.weights(len(frames[window]))[:, None]
                self._add(total[take], frames[window], weights * estimate)
                if take == 0:
                    self._add(covered[None], frames[window], weights[None])
        return total / covered

    def _add(self, total: Latents, index: Index, values: Latents) -> None:
        """Sum ``values`` into frames ``index``; a short ring is run over more than once."""
        for start in range(0, len(index), self.windows.total):
            lap = slice(start, start + self.windows.total)
            total[:, index[lap]] += values[:, lap]

    def _parts(self, takes: int, frames: tuple[Index, ...]) -> Iterator[list[tuple[int, int]]]:
        """(take, window) pairs that fit in one batch: as many as allowed, of one length."""
        by_length = sorted(range(len(frames)), key=lambda window: len(frames[window]))
        for _, group in itertools.groupby(by_length, key=lambda window: len(frames[window])):
            pairs = [(take, window) for window in group for take in range(takes)]
            for start in range(0, len(pairs), self.max_batch):
                yield pairs[start : start + self.max_batch]

    def _estimate(self, x: Latents, condition: Embedding, step: int) -> Latents:
        return self.steps.to_clean(x, self._predict(x, condition, step), step)

    def _predict(self, x: Latents, condition: Embedding, step: int) -> Latents:
        timestep = np.full(len(x), self.steps.timesteps[step], np.float32)
        if self.guidance_scale == 1.0:
            return self.unet(sample=x, timestep=timestep, embedding=condition)[0]
        unconditional = np.broadcast_to(self.unconditional, condition.shape)
        output = self.unet(
            sample=np.concatenate([x, x]),
            timestep=np.concatenate([timestep, timestep]),
            embedding=np.concatenate([unconditional, condition]),
        )[0]
        without, toward = np.split(output, 2)
        return without + self.guidance_scale * (toward - without)
