"""The limiter, last before the converter: no sample is larger than full scale.

Part of the audio callback: nothing here allocates an array, takes a lock, logs or waits.
"""

from __future__ import annotations

import numpy as np

from osc_bridge.audio.voice import shape
from server.audio.waveform import Samples

__all__ = ["Limiter"]


class Limiter:
    """Reduces the gain at a sample that is too large, and releases it linearly.

    Up to ``ceiling`` the sound passes unchanged, and it is never delayed. The gain at frame n is
    the minimum over all k <= n of ``target[k] + (n - k) * release``.

    Args:
        max_frames: size of the largest block.
        sample_rate: in Hz.
        release_s: time from gain 0 back to 1.
        ceiling: largest sample that passes unchanged.
    """

    def __init__(
        self, max_frames: int, sample_rate: int, release_s: float = 0.5, ceiling: float = 1.0
    ) -> None:
        self.ceiling = ceiling
        self.gain = 1.0
        self.release = 1.0 / (release_s * sample_rate)
        self._loudest = np.zeros(max_frames, np.float32)
        self._target = np.zeros(max_frames, np.float32)
        self._ramp = (np.arange(max_frames + 1) * self.release).astype(np.float32)
        self._level = np.zeros((max_frames, 2), np.float32)

    def process(self, block: Samples) -> float:
        """Limit ``block`` [n, 2] in place; returns its peak afterwards."""
        n = block.shape[0]
        level, loudest = self._level[:n], self._loudest[:n]
        np.abs(block, out=level)
        np.maximum(level[:, 0], level[:, 1], out=loudest)
        peak = float(loudest.max())
        if peak <= self.ceiling and self.gain >= 1.0:
            return peak
        self._reduce(block, loudest, n)
        np.abs(block, out=level)
        return float(level.max())

    def _reduce(self, block: Samples, loudest: Samples, n: int) -> None:
        target, ramp = self._target[:n], self._ramp[1 : n + 1]
        np.maximum(loudest, self.ceiling, out=target)
        np.divide(self.ceiling, target, out=target)
        np.subtract(target, ramp, out=target)
        target[0] = min(float(target[0]), self.gain)
        np.minimum.accumulate(target, out=target)
        np.add(target, ramp, out=target)
        np.minimum(target, 1.0, out=target)
        self.gain = float(target[n - 1])
        shape(block, target)
        # Rounding may leave a sample one unit above full scale.
        np.clip(block, -self.ceiling, self.ceiling, out=block)
