"""Weights in fewer bytes: float16, or int8 with a scale for each output channel."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["SMALLEST", "to_half", "to_int8"]

SMALLEST: Final = 1024
"""Tensors with fewer elements (biases, norms) stay float32."""

Values = npt.NDArray[Any]


def to_half(values: Values) -> npt.NDArray[np.float16] | None:
    """``values`` as float16; None where one of them is too large for it."""
    if np.abs(values).max() > np.finfo(np.float16).max:
        return None
    return values.astype(np.float16)


def to_int8(values: Values, axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """``values`` as int8, and the scales along ``axis``."""
    axis %= values.ndim
    others = tuple(dim for dim in range(values.ndim) if dim != axis)
    scale = np.abs(values).max(axis=others, keepdims=True) / 127
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale.reshape(-1)
