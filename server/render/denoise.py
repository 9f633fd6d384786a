"""The unet under classifier-free guidance, window by window where the take is long.

A run does not call the unet itself. It yields a :class:`UnetCall` and receives the unet's output
through ``send``. So the worker decides which of several runs continues, and may join their calls.
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
"""Yields a call and receives its output, or yields None where another job may go first."""


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
        """Latent frames of each row; calls with equal numbers of frames can be joined."""
        return int(self.sample.shape[2])

    @property
    def size(self) -> int:
        """Latent frames of all rows; time and memory grow with it."""
        return len(self) * self.frames

    def rows(self, part: slice) -> UnetCall:
        """The rows in ``part``."""
        return UnetCall(self.sample[part], self.timestep[part], self.embedding[part])


Unets = Callable[[UnetCall], Latents]
"""Runs the unet on a call; returns its output [B, C, T, F]."""


def finished(work: Work[T], unet: Unets) -> T:
    """Run ``work`` to its end, alone on the device, and return its result."""
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

    A call holds at most ``frames_a_call`` latent frames, or one window. After the share
    ``guidance_end`` of the steps there is no guidance, at half the cost (arXiv:2404.07724).
    """

    steps: Steps
    windows: Windows
    condition: Embedding
    """One embedding for each row and window, [B, W, D]."""
    unconditional: Embedding
    """[D]"""
    guidance_scale: float
    guidance_end: float
    frames_a_call: int
    notation: Callable[[int], Row] | None = None
    """Numbers appended to the embedding of a window, from its first latent frame."""

    def rows_a_window(self, step: int) -> int:
        """Rows that one window of one take needs at ``step``: two under guidance."""
        guided = self.guidance_scale != 1.0 and step < self.guidance_end * len(self.steps)
        return 2 if guided else 1

    def __call__(self, x: Latents, step: int) -> Generator[UnetCall, Latents, Latents]:
        """Estimate the clean latent [B, C, T, F] of ``x`` [B, C, T, F] at ``step``."""
        frames = self.windows.at(step)
        total = np.zeros_like(x)
        covered = np.zeros((self.windows.total, 1), np.float32)
        for part in self._parts(len(x), frames, self.rows_a_window(step)):
            crops = np.stack([x[take][:, frames[window]] for take, window in part])
            condition = self._conditions(part, frames)
            output = yield from self._predict(crops, condition, step)
            clean = self.steps.to_clean(crops, output, step)
            for (take, window), estimate in zip(part, clean, strict=True):
                weights = self.windows.weights(len(frames[window]))[:, None]
                self._add(total[take], frames[window], weights * estimate)
                if take == 0:
                    self._add(covered[None], frames[window], weights[None])
        return total / covered

    def _add(self, total: Latents, index: Index, values: Latents) -> None:
        """Add ``values`` to frames ``index``, which may repeat on a short ring."""
        for start in range(0, len(index), self.windows.total):
            lap = slice(start, start + self.windows.total)
            total[:, index[lap]] += values[:, lap]

    def _parts(
        self, takes: int, frames: tuple[Index, ...], rows: int
    ) -> Iterator[list[tuple[int, int]]]:
        """Groups of (take, window) pairs of equal length that fit into one call."""
        by_length = sorted(range(len(frames)), key=lambda window: len(frames[window]))
        for length, group in itertools.groupby(by_length, key=lambda window: len(frames[window])):
            pairs = [(take, window) for window in group for take in range(takes)]
            most = max(1, self.frames_a_call // (length * rows))
            for start in range(0, len(pairs), most):
                yield pairs[start : start + most]

    def _conditions(self, part: list[tuple[int, int]], frames: tuple[Index, ...]) -> Embedding:
        rows, windows = zip(*part, strict=True)
        condition = self.condition[rows, windows]
        if self.notation is None:
            return condition
        columns = [self.notation(int(frames[window][0])) for window in windows]
        return np.concatenate([condition, np.array(columns, np.float32)], axis=1)

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
