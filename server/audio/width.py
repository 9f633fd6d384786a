"""The correlation of audio channels, measured in one sound and given to another.

Channels are mixed linearly with the matrix that is nearest to no mixing at all (Vilkamo,
Bäckström and Kuntz, J. Audio Eng. Soc. 61, 2013, section 3).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["correlation", "mixing_of", "with_correlation"]

Samples = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

_SMALLEST: Final = 0.1
"""Share of the largest singular value that is amplified at most to the largest one."""


def correlation(samples: Samples) -> Matrix:
    """Correlation of the channels of ``samples`` [frames, channels]; 0 with a silent channel."""
    if samples.shape[1] == 1:
        return np.ones((1, 1))
    covariance = _covariance(samples)
    level = np.sqrt(np.diag(covariance))
    both = np.outer(level, level)
    found = np.divide(covariance, both, out=np.zeros_like(both), where=both > 1e-20)
    np.fill_diagonal(found, 1.0)
    return np.asarray(np.minimum(np.maximum(found, -1.0), 1.0))


def mixing_of(related: Matrix) -> npt.NDArray[np.float32]:
    """Matrix that turns independent noise into channels with the correlation ``related``.

    The first channel keeps its own noise.
    """
    values, vectors = np.linalg.eigh(related)
    positive = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    level = np.sqrt(np.diag(positive))
    return np.linalg.cholesky(positive / np.outer(level, level)).astype(np.float32)


def with_correlation(samples: Samples, wanted: Matrix, part: slice | None = None) -> Samples:
    """Mix the channels of ``samples`` so that they correlate as ``wanted``, at their own levels.

    Args:
        samples: the channels, [frames, channels].
        wanted: their correlation afterwards.
        part: the frames that are to correlate so; None: all.
    """
    shown = samples if part is None else samples[part]
    if samples.shape[1] == 1 or not shown.any():
        return samples
    level = np.sqrt(np.maximum(np.diag(_covariance(shown)), 1e-20))
    sign = np.where(wanted[np.argmax(level)] < 0.0, -1.0, 1.0)
    have, want = _root(correlation(shown)), _root(wanted)
    left, _, right = np.linalg.svd(have.T @ np.diag(sign) @ want)
    mixing = want @ (right.T @ left.T) @ _inverse(have)
    now = np.sqrt(np.maximum(np.diag(mixing @ correlation(shown) @ mixing.T), 1e-20))
    mixed = (samples / level) @ mixing.T
    return np.asarray(mixed * (level / now), np.float32)


def _covariance(samples: Samples) -> Matrix:
    doubles = samples.astype(np.float64)
    return np.asarray(doubles.T @ doubles / max(1, len(doubles)))


def _root(related: Matrix) -> Matrix:
    """A matrix K with K K' = ``related``."""
    values, vectors = np.linalg.eigh(related)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _inverse(root: Matrix) -> Matrix:
    """Inverse of ``root``; small singular values are amplified within bounds only."""
    left, values, right = np.linalg.svd(root)
    bounded = np.maximum(values, _SMALLEST * values.max())
    return np.asarray((right.T / bounded) @ left.T)
