"""Samples finer than float32: kept beside a clip, and put back where a take still has them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["FINE", "Fine", "as_written"]

FINE: Final = {"PCM_32": "int32", "DOUBLE": "float64"}
"""Subtypes of libsndfile that float32 does not hold, and the type that does."""
_BITS: Final = {"PCM_U8": 8, "PCM_32": 32}

_Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Fine:
    """A clip's own ``samples`` int32 or float64 [frames, channels], which begin at frame
    ``start`` of the take."""

    samples: _Numbers
    start: int = 0

    def moved(self, by: int) -> Fine:
        """The same samples, ``by`` frames later."""
        return replace(self, start=self.start + by)

    def put_back(self, rounded: npt.NDArray[np.float32], written: _Numbers) -> None:
        """Write the clip's samples into ``written`` where ``rounded`` is what they round to.

        Both are [frames, channels] of the take: what is not the clip's any more differs, and
        what is at another place or rate does no harm, because it rounds to the same.
        """
        if written.dtype != self.samples.dtype or written.shape[1] != self.samples.shape[1]:
            return
        end = min(len(written), self.start + len(self.samples))
        if self.start >= end:
            return
        own = self.samples[: end - self.start]
        full_scale = np.float32(2.0**31 if own.dtype == np.int32 else 1.0)
        same = own.astype(np.float32) / full_scale == rounded[self.start : end]
        written[self.start : end][same] = own[same]


def as_written(samples: npt.NDArray[np.float32], subtype: str) -> _Numbers:
    """``samples`` as libsndfile is to be given them for a file of ``subtype``.

    Its own way from float32 to 16 and 24 bits and back changes nothing; that to 8 and 32 does.
    """
    if subtype == "DOUBLE":
        return samples.astype(np.float64)
    if subtype not in _BITS:
        return samples
    full = 2.0 ** (_BITS[subtype] - 1)
    levels = np.clip(np.rint(samples.astype(np.float64) * full), -full, full - 1.0)
    return (levels * 2.0 ** (32 - _BITS[subtype])).astype(np.int32)
