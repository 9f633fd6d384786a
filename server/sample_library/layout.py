"""A place in the plane for every sound: principal components of the embeddings, spread evenly.

The two directions in which the sounds differ most are the axes. On each axis the sounds keep their
order and are spread between 0 and 1, half by rank and half by value: so a fader finds sounds
everywhere on its way, and groups stay apart. A third direction gives the colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from server.sample_library.vectors import Vectors

__all__ = ["Layout", "layout_of"]

_LEARNT_FROM: Final = 20_000
"""Sounds from which the axes are computed."""
_CHUNK: Final = 8192
_AXES: Final = 3

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """Where the sounds are."""

    rows: npt.NDArray[np.intp]
    """[n]"""
    places: Floats
    """[n, 3]: x, y and colour, from 0 to 1."""

    def nearest(self, x: float, y: float) -> int:
        """The row of the sound nearest to a place; -1 where there is none."""
        if not len(self.rows):
            return -1
        away = np.square(self.places[:, :2] - np.array((x, y), np.float32)).sum(axis=1)
        return int(self.rows[int(np.argmin(away))])


def layout_of(vectors: Vectors, rows: npt.NDArray[np.intp]) -> Layout:
    """Place the sounds in ``rows``."""
    if not len(rows):
        return Layout(rows, np.zeros((0, _AXES), np.float32))
    learnt = rows[:: -(-len(rows) // _LEARNT_FROM)]
    centre, axes = _principal_axes(vectors[learnt])
    projected = np.empty((len(rows), _AXES), np.float32)
    for first in range(0, len(rows), _CHUNK):
        part = slice(first, first + _CHUNK)
        projected[part] = (vectors[rows[part]] - centre) @ axes
    return Layout(rows, np.stack([_spread(axis) for axis in projected.T], axis=1))


def _principal_axes(embeddings: Floats) -> tuple[Floats, Floats]:
    """Their mean [D], and the three directions [D, 3] in which they differ most.

    The sign of each is fixed, so that a map keeps its sides when sounds are added.
    """
    centre = embeddings.mean(axis=0)
    apart = embeddings - centre
    _, vectors = np.linalg.eigh(apart.T @ apart)
    axes = vectors[:, : -_AXES - 1 : -1]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    return centre, np.asarray(axes * np.sign(largest), np.float32)


def _spread(values: Floats) -> Floats:
    """From 0 to 1 in the same order: the mean of rank and clipped value."""
    ranks = np.empty(len(values), np.float32)
    ranks[np.argsort(values, kind="stable")] = np.linspace(0.0, 1.0, len(values))
    if len(values) == 1:
        return np.full(1, 0.5, np.float32)
    low, high = np.quantile(values, (0.002, 0.998))
    linear = np.clip((values - low) / max(high - low, 1e-9), 0.0, 1.0)
    return np.asarray(0.5 * (ranks + linear), np.float32)
