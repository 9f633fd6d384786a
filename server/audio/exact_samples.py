"""A clip's samples where float32 cannot hold them, restored in takes that still contain them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["EXACT_DTYPES", "ExactSamples", "as_written"]

EXACT_DTYPES: Final = {"PCM_32": "int32", "DOUBLE": "float64"}
"""Subtypes of libsndfile that need more than float32, and the dtype that holds them."""
_BITS: Final = {"PCM_U8": 8, "PCM_32": 32}

_Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class ExactSamples:
    """A clip's own samples, int32 or float64 [frames, channels].

    They begin at frame ``start`` of the take.
    """

    samples: _Numbers
    start: int = 0

    def moved(self, by: int) -> ExactSamples:
        """The same samples, ``by`` frames later."""
        return replace(self, start=self.start + by)

    def put_back(self, rounded: npt.NDArray[np.float32], written: _Numbers) -> None:
        """Replace samples of ``written`` by the clip's own wherever both round to the same.

        A sample that the job has changed differs from its rounded original and stays as it is.

        Args:
            rounded: the take as float32 [frames, channels].
            written: the same samples in the file's dtype; changed in place.
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
    """Convert ``samples`` to the dtype in which libsndfile writes ``subtype`` without loss.

    libsndfile converts float32 to 16 and 24 bits exactly, but not to 8 and 32 bits.
    """
    if subtype == "DOUBLE":
        return samples.astype(np.float64)
    if subtype not in _BITS:
        return samples
    full = 2.0 ** (_BITS[subtype] - 1)
    levels = np.clip(np.rint(samples.astype(np.float64) * full), -full, full - 1.0)
    return (levels * 2.0 ** (32 - _BITS[subtype])).astype(np.int32)
