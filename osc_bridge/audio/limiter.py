"""The last thing before the converter: nothing leaves louder than full scale.

Part of the audio callback: nothing here makes an array, takes a lock, logs or waits.
"""

from __future__ import annotations

import numpy as np

from osc_bridge.audio.voice import shape
from server.audio.waveform import Samples

__all__ = ["Limiter"]


class Limiter:
    """Gain comes down at the sample that is too loud and goes back in a straight line.

    Up to ``ceiling`` the sound passes bit for bit and nothing is ever delayed. The gain at
    frame n is the smallest of ``wanted[k] + (n - k) * release`` over all k <= n.

    Args:
        max_frames: longest block.
        sample_rate: Hz.
        release_s: from silence back to full gain.
        ceiling: largest sample that passes.
    """

    def __init__(
        self, max_frames: int, sample_rate: int, release_s: float = 0.5, ceiling: float = 1.0
    ) -> None:
        self.ceiling = ceiling
        self.gain = 1.0
        self.release = 1.0 / (release_s * sample_rate)
        self._loudest = np.zeros(max_frames, np.float32)
        self._wanted = np.zeros(max_frames, np.float32)
        self._walk = (np.arange(max_frames + 1) * self.release).astype(np.float32)
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
        wanted, walk = self._wanted[:n], self._walk[1 : n + 1]
        np.maximum(loudest, self.ceiling, out=wanted)
        np.divide(self.ceiling, wanted, out=wanted)
        np.subtract(wanted, walk, out=wanted)
        wanted[0] = min(float(wanted[0]), self.gain)
        np.minimum.accumulate(wanted, out=wanted)
        np.add(wanted, walk, out=wanted)
        np.minimum(wanted, 1.0, out=wanted)
        self.gain = float(wanted[n - 1])
        shape(block, wanted)
        # Rounding may leave a sample one unit above full scale.
        np.clip(block, -self.ceiling, self.ceiling, out=block)
