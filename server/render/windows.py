"""Windows: which latent frames are denoised together.

A take longer than the model's window is cut into overlapping windows, whose estimates are
blended at each step (MultiDiffusion, arXiv:2302.08113). Long takes, loops, morphs and edits at
several places of a clip are the same run with different windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Windows"]

Index = npt.NDArray[np.int64]
_GOLDEN: Final = 0.6180339887
"""Golden ratio: spreads the borders of a ring's windows evenly over any number of steps."""


@dataclass(frozen=True)
class Windows:
    """Overlapping windows over the latent frames of a take.

    On a ring (``circular``), windows continue from the end to the beginning and may hold a frame
    more than once. They are shifted at each step, so that no frame is always a border.
    """

    frames: tuple[Index, ...]
    """For each window the indices of its frames."""
    total: int
    """Latent frames of the take."""
    circular: bool = False

    @classmethod
    def over(cls, total: int, window: int) -> Windows:
        """Windows of at most ``window`` frames over ``total``, overlapping by half or more."""
        window = min(window, total)
        count = 1 if window == total else -(-(total - window) // (window // 2)) + 1
        starts = np.linspace(0, total - window, count).round().astype(np.int64)
        return cls(tuple(start + np.arange(window) for start in starts), total)

    @classmethod
    def around(cls, total: int, window: int, multiple: int) -> Windows:
        """Windows on a ring of ``total`` frames; each has a multiple of ``multiple`` frames.

        A short ring is one window that repeats some of its frames, so that its borders have
        context too.
        """
        once = -(-(total + 2 * multiple) // multiple) * multiple
        if once <= window:
            return cls((np.arange(once) % total,), total, circular=True)
        count = max(2, -(-total // (window // 2)))
        starts = np.linspace(0, total, count, endpoint=False).round().astype(np.int64)
        return cls(tuple((s + np.arange(window)) % total for s in starts), total, circular=True)

    @classmethod
    def joined(cls, parts: Sequence[Windows]) -> Windows:
        """Windows of several takes side by side in one latent; no window spans two takes."""
        offsets = np.cumsum([0, *(part.total for part in parts)])
        frames = tuple(
            index + offset
            for part, offset in zip(parts, offsets[:-1], strict=True)
            for index in part.frames
        )
        return cls(frames, int(offsets[-1]))

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """Centre of each window as a fraction of the take, [W]."""
        middle = np.array([index[len(index) // 2] for index in self.frames])
        return np.asarray(middle / self.total, np.float64)

    def at(self, step: int) -> tuple[Index, ...]:
        """The frames of each window at ``step``."""
        if not self.circular:
            return self.frames
        shift = int(self.total * ((step * _GOLDEN) % 1.0))
        return tuple((index + shift) % self.total for index in self.frames)

    def weights(self, window: int) -> npt.NDArray[np.float32]:
        """Weights of an estimate along the frames of its window, [window]."""
        if len(self) == 1 and not self.circular:
            return np.ones(window, np.float32)
        ramp = np.minimum(np.arange(window) + 0.5, window - np.arange(window) - 0.5)
        return np.asarray(ramp / ramp.max(), np.float32)
