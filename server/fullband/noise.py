"""The noise of the upper band: one long ring, entered at a place that the seed chooses.

White noise leaves holes of 30 dB in its spectrogram, real upper bands fewer: their noise was
filtered and smeared by rooms. A few iterations of Griffin and Lim (1984) towards a flat
magnitude fill the holes: the spread of the level falls from 5.6 to 4 dB, and it stays noise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.fft

from server.audio.width import correlation, mixing_of
from server.fullband.analysis import Array
from server.model.noise import Origin, generator, shares

__all__ = ["UPPER_BAND_STREAM", "UpperNoise", "noise_ring"]

UPPER_BAND_STREAM: Final = 2**40
_RING: Final = 2**18
"""A power of two, so that a place in it is the lowest bits of a number."""
_RING_KEY: Final = 0xA1B
_N_FFT: Final = 2048
_HOP: Final = 512
_ITERATIONS: Final = 3

Places = npt.NDArray[np.int64]


class UpperNoise:
    """Noise for each channel of a take."""

    def channels(
        self, samples: Array, seed: int, origin: Origin | None = None
    ) -> list[Callable[[Places], Array]]:
        """Functions from sample numbers to noise, as correlated as the channels [S, C] are.

        A first difference weakens the bass, which is more alike than what is above 8 kHz.
        """
        readers = [_blend(seed, origin, number) for number in range(samples.shape[1])]
        if len(readers) == 1 or (samples == samples[:, :1]).all():
            return [readers[0]] * len(readers)
        mixing = mixing_of(correlation(np.diff(samples, axis=0)))
        return [partial(_mixed, readers, row) for row in mixing]


@cache
def noise_ring() -> Array:
    """Noise of variance 1 whose end continues in its beginning."""
    ring = generator(_RING_KEY, UPPER_BAND_STREAM).standard_normal(_RING, np.float32)
    window = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    for _ in range(_ITERATIONS):
        ring = _flattened(ring, window)
    return ring / np.float32(np.sqrt(np.mean(np.square(ring, dtype=np.float64))))


def _flattened(ring: Array, window: Array) -> Array:
    """One iteration: every bin gets magnitude 1 and keeps its phase."""
    wrapped = np.concatenate((ring, ring[: _N_FFT - _HOP]))
    frames = np.lib.stride_tricks.sliding_window_view(wrapped, _N_FFT)[::_HOP]
    spectrum = scipy.fft.rfft(frames * window, axis=1)
    spectrum /= np.maximum(np.abs(spectrum), np.float32(1e-9))
    parts = scipy.fft.irfft(spectrum, _N_FFT, axis=1) * window
    blocks = parts.reshape(len(parts), -1, _HOP)
    total = np.zeros((len(parts), _HOP), np.float32)
    for place in range(blocks.shape[1]):
        total += np.roll(blocks[:, place], place, axis=0)
    return total.reshape(-1)


def _blend(seed: int, origin: Origin | None, channel: int) -> Callable[[Places], Array]:
    """Noise of one seed; of a variation, between that of its take and its own."""
    parts = shares(seed, origin)
    if len(parts) == 1:
        return _reader(parts[0][0], channel)
    readers = [_reader(one, channel) for one, _ in parts]
    return partial(_mixed, readers, np.array([weight for _, weight in parts], np.float32))


def _reader(seed: int, channel: int) -> Callable[[Places], Array]:
    numbers = generator(seed, UPPER_BAND_STREAM + channel)
    start, backwards = int(numbers.integers(_RING)), bool(numbers.integers(2))
    sign = np.float32(1.0 - 2.0 * numbers.integers(2))

    def read(places: Places) -> Array:
        steps = start - places if backwards else start + places
        return sign * np.take(noise_ring(), steps & (_RING - 1))

    return read


def _mixed(readers: list[Callable[[Places], Array]], row: Array, places: Places) -> Array:
    drawn = np.stack([read(places) for read in readers])
    return np.asarray(row @ drawn, np.float32)
