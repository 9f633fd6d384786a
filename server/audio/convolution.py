"""Convolution in blocks, so that memory does not grow with the length of a sound."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.fft

from server.audio.interruption import interruptible

__all__ = ["convolved", "impulse_response"]

_BLOCK: Final = 2**17
Samples = npt.NDArray[np.float32]


def convolved(samples: Samples, kernel: Samples, *, circular: bool = False) -> Samples:
    """``samples`` [S] through the causal ``kernel``, as long as before.

    Args:
        samples: one channel.
        kernel: impulse response.
        circular: the end of ``samples`` continues in its beginning.
    """
    tail = len(kernel) - 1
    padded = np.concatenate((_before(samples, tail, circular), samples))
    size = scipy.fft.next_fast_len(min(_BLOCK, len(samples)) + tail, real=True)
    response, step = scipy.fft.rfft(kernel, size), size - tail
    result = np.empty(len(samples), np.float32)
    for start in range(0, len(samples), step):
        interruptible()
        block = scipy.fft.rfft(padded[start : start + size], size)
        made = scipy.fft.irfft(block * response, size)[tail:]
        result[start : start + step] = made[: len(samples) - start]
    return result


def _before(samples: Samples, count: int, circular: bool) -> Samples:
    return samples[np.arange(-count, 0) % len(samples)] if circular else np.zeros(count, "f4")


def impulse_response(response: npt.NDArray[np.complexfloating[Any, Any]]) -> Samples:
    """Impulse response of a filter from its ``response`` at even steps up to half the rate.

    Its last quarter is faded out: what a causal filter still does there is the end of its tail.
    """
    length = 2 * (len(response) - 1)
    kernel = np.fft.irfft(response, length)
    fade = length // 4
    kernel[-fade:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(fade) / fade)
    return np.asarray(kernel, np.float32)
