"""Long signals through a graph in overlapping chunks, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["in_chunks"]

Frames = npt.NDArray[np.float32]


def in_chunks(
    graph: Callable[[Frames, int], Frames], signal: Frames, chunk: int, overlap: int, ratio: float
) -> Frames:
    """Compute ``graph(signal)`` along the first axis, chunk by chunk.

    Args:
        graph: called for each chunk in order, with its n frames and the number of its first;
            returns ``n * ratio`` frames.
        signal: frames [n, ...].
        chunk: largest number of frames in one call.
        overlap: frames that neighbouring chunks share. Half of them are context only; over the
            others, one chunk is faded linearly into the next.
        ratio: output frames for each input frame.
    """
    total = len(signal)
    if total <= chunk:
        return graph(signal, 0)[: round(total * ratio)]
    result: Frames | None = None
    weight = np.zeros(round(total * ratio), np.float32)
    for start in _starts(total, chunk, overlap):
        piece = graph(signal[start : start + chunk], start)[: round(chunk * ratio)]
        if result is None:
            result = np.zeros((len(weight), *piece.shape[1:]), np.float32)
        first = round(start * ratio)
        place = slice(first, first + len(piece))
        ramp = _ramp(len(piece), round(overlap * ratio), start > 0, start + chunk < total)
        result[place] += piece * ramp.reshape(-1, *[1] * (piece.ndim - 1))
        weight[place] += ramp
    assert result is not None
    return np.asarray(result / weight.reshape(-1, *[1] * (result.ndim - 1)), np.float32)


def _starts(total: int, chunk: int, overlap: int) -> list[int]:
    """Where chunks begin; the last one ends exactly at the end."""
    step = chunk - overlap
    return [*range(0, total - chunk, step), total - chunk]


def _ramp(length: int, overlap: int, fade_in: bool, fade_out: bool) -> npt.NDArray[Any]:
    """Weights of a chunk: 1 inside, rising from 0 over the middle half of an overlap."""
    up = np.clip(np.linspace(-0.5, 1.5, overlap, dtype=np.float32), 0.0, 1.0)
    ramp = np.ones(length, np.float32)
    if fade_in:
        ramp[:overlap] = up
    if fade_out:
        ramp[-overlap:] *= up[::-1]
    return ramp
