"""One denoising run: the unet under guidance, window by window where the take is long.

The latent's time axis is cut into :class:`Windows`. Each window has its own condition; where
windows overlap their estimates are blended (MultiDiffusion, arXiv:2302.08113), so a long take,
a seam-free loop and a morph are the same run with different windows and conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.schedule import Latents, Steps
from server.session import Graph
from server.text import Embedding

__all__ = ["GuidedUnet", "Windows"]


@dataclass(frozen=True)
class Windows:
    """Which latent frames are denoised together: ``frames`` [W, window] of ``total`` frames.

    ``circular`` takes are a ring: windows run over the end into the beginning, and are shifted
    by a different amount at each step so that no place is always a border.
    """

    frames: npt.NDArray[np.int64]
    total: int
    circular: bool = False

    @classmethod
    def over(cls, total: int, window: int, *, circular: bool = False) -> Windows:
        """Windows of at most ``window`` frames over ``total`` frames, overlapping by half."""
        window = min(window, total)
        span = total if circular else total - window
        count = 1 if window == total else -(-span // (window // 2)) + (not circular)
        starts = np.linspace(0, span, count, endpoint=not circular).round().astype(np.int64)
        return cls((starts[:, None] + np.arange(window)) % total, total, circular)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """Where each window's middle lies, as a fraction of the take, [W]."""
        middle = self.frames[:, self.frames.shape[1] // 2]
        return (middle + 0.5) / self.total

    def at(self, step: int) -> npt.NDArray[np.int64]:
        """The frames of each window at ``step``."""
        if not self.circular:
            return self.frames
        # The golden ratio spreads the borders evenly, whatever the number of steps.
        return (self.frames + int(self.total * ((step * 0.618034) % 1.0))) % self.total

    def weights(self) -> npt.NDArray[np.float32]:
        """How much a window's estimate counts along its own frames, [window]."""
        window = self.frames.shape[1]
        if len(self) == 1:
            return np.ones(window, np.float32)
        ramp = np.minimum(np.arange(window) + 0.5, window - np.arange(window) - 0.5)
        return np.asarray(ramp / ramp.max(), np.float32)


@dataclass(frozen=True)
class GuidedUnet:
    """The estimate of the clean latent under classifier-free guidance (arXiv:2207.12598).

    ``condition`` is [W, D], one embedding a window, and ``unconditional`` [D].
    """

    unet: Graph
    steps: Steps
    windows: Windows
    condition: Embedding
    unconditional: Embedding
    guidance_scale: float
    max_batch: int = 8

    def __call__(self, x: Latents, step: int) -> Latents:
        """The clean estimate [B, C, T, F] of ``x`` [B, C, T, F] at ``step``."""
        frames = self.windows.at(step)
        if len(frames) == 1 and not self.windows.circular:
            return self._estimate(x, np.repeat(self.condition, len(x), axis=0), step)
        weights = self.windows.weights()[:, None]
        total = np.zeros_like(x)
        covered = np.zeros((x.shape[2], 1), np.float32)
        for index, condition in zip(frames, self.condition, strict=True):
            crop = np.ascontiguousarray(x[:, :, index])
            clean = self._estimate(crop, np.repeat(condition[None], len(x), axis=0), step)
            total[:, :, index] += weights * clean
            covered[index] += weights
        return total / covered

    def _estimate(self, x: Latents, condition: Embedding, step: int) -> Latents:
        outputs = [self._predict(x[part], condition[part], step) for part in self._parts(len(x))]
        return self.steps.to_clean(x, np.concatenate(outputs), step)

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

    def _parts(self, count: int) -> Iterator[slice]:
        for start in range(0, count, self.max_batch):
            yield slice(start, start + self.max_batch)
