"""One denoising run: the unet under guidance, window by window where the take is long.

A run does not call the unet itself: it yields a :class:`UnetCall` and is sent what the unet
gives. So whoever holds several runs decides which goes on, and may join their calls.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from server.model.schedule import Latents, Steps
from server.model.text import Embedding
from server.render.windows import Index, Windows

__all__ = ["GuidedUnet", "UnetCall", "Unets", "Work", "finished"]

T = TypeVar("T")
Row = tuple[float, ...]
Work = Generator["UnetCall | None", Any, T]
"""Yields a call and is sent its answer, or None where another may go first; returns a T."""


@dataclass(frozen=True)
class UnetCall:
    """Inputs of the unet; rows are independent of each other."""

    sample: Latents
    """[B, C, T, F]"""
    timestep: npt.NDArray[np.float32]
    """[B]"""
    embedding: Embedding
    """[B, D]"""

    def __len__(self) -> int:
        return len(self.sample)

    @property
    def frames(self) -> int:
        """Latent frames of a row: calls of equal length can be joined."""
        return int(self.sample.shape[2])

    @property
    def size(self) -> int:
        """Latent frames of all rows: what time and memory grow with."""
        return len(self) * self.frames

    def rows(self, part: slice) -> UnetCall:
        """Some of the rows."""
        return UnetCall(self.sample[part], self.timestep[part], self.embedding[part])


Unets = Callable[[UnetCall], Latents]
"""Answers a call with the unet's output [B, C, T, F]."""


def finished(work: Work[T], unet: Unets) -> T:
    """What ``work`` returns when it is alone on the device."""
    answer: Latents | None = None
    while True:
        try:
            call = work.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        answer = None if call is None else unet(call)


@dataclass(frozen=True)
class GuidedUnet:
    """The estimate of the clean latent under classifier-free guidance (arXiv:2207.12598).

    ``condition`` is [B, W, D], one embedding a row and window, and ``unconditional`` [D]. A call
    holds at most ``frames_a_call`` latent frames, or one window, whatever the length and the
    takes. After ``guidance_end`` of the steps the condition is followed without guidance, at half
    the cost (arXiv:2404.07724).
    """

    steps: Steps
    windows: Windows
    condition: Embedding
    unconditional: Embedding
    guidance_scale: float
    guidance_end: float
    frames_a_call: int
    tell: Callable[[int], Row] | None = None
    """Numbers behind the embedding of a window, by its first latent frame."""

    def rows_a_window(self, step: int) -> int:
        """Rows of a call that one window of one take needs at ``step``."""
        guided = self.guidance_scale != 1.0 and step < self.guidance_end * len(self.steps)
        return 2 if guided else 1

    def __call__(self, x: Latents, step: int) -> Generator[UnetCall, Latents, Latents]:
        """The clean estimate [B, C, T, F] of ``x`` [B, C, T, F] at ``step``."""
        frames = self.windows.at(step)
        total = np.zeros_like(x)
        covered = np.zeros((self.windows.total, 1), np.float32)
        for part in self._parts(len(x), frames, self.rows_a_window(step)):
            crops = np.stack([x[take][:, frames[window]] for take, window in part])
            condition = self._told(part, frames)
            output = yield from self._predict(crops, condition, step)
            clean = self.steps.to_clean(crops, output, step)
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

    def _parts(
        self, takes: int, frames: tuple[Index, ...], rows: int
    ) -> Iterator[list[tuple[int, int]]]:
        """(take, window) pairs that fit in one call: as many as allowed, of one length."""
        by_length = sorted(range(len(frames)), key=lambda window: len(frames[window]))
        for length, group in itertools.groupby(by_length, key=lambda window: len(frames[window])):
            pairs = [(take, window) for window in group for take in range(takes)]
            most = max(1, self.frames_a_call // (length * rows))
            for start in range(0, len(pairs), most):
                yield pairs[start : start + most]

    def _told(self, part: list[tuple[int, int]], frames: tuple[Index, ...]) -> Embedding:
        rows, windows = zip(*part, strict=True)
        condition = self.condition[rows, windows]
        if self.tell is None:
            return condition
        told = np.array([self.tell(int(frames[window][0])) for window in windows], np.float32)
        return np.concatenate([condition, told], axis=1)

    def _predict(
        self, x: Latents, condition: Embedding, step: int
    ) -> Generator[UnetCall, Latents, Latents]:
        timestep = np.full(len(x), self.steps.timesteps[step], np.float32)
        if self.rows_a_window(step) == 1:
            return (yield UnetCall(x, timestep, condition))
        unconditional = np.zeros_like(condition)
        unconditional[:, : len(self.unconditional)] = self.unconditional
        output = yield UnetCall(
            np.concatenate([x, x]),
            np.concatenate([timestep, timestep]),
            np.concatenate([unconditional, condition]),
        )
        without, toward = np.split(output, 2)
        return without + self.guidance_scale * (toward - without)
