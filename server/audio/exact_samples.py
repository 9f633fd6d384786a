"""A clip's samples where float32 cannot hold them, restored in takes that still contain them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["EXACT_DTYPES", "ExactSamples"]

EXACT_DTYPES: Final = {"PCM_32": "int32", "DOUBLE": "float64"}
"""Subtypes of libsndfile that need more than float32, and the dtype that holds them."""

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
        first = max(0, self.start)
        end = min(len(written), self.start + len(self.samples))
        if first >= end:
            return
        own = self.samples[first - self.start : end - self.start]
        full_scale = np.float32(2.0**31 if own.dtype == np.int32 else 1.0)
        same = own.astype(np.float32) / full_scale == rounded[first:end]
        written[first:end][same] = own[same]
