"""An output in memory: the same mixer, without a sound card."""

from __future__ import annotations

import time

import numpy as np

from osc_bridge.audio.arena import CHANNELS, Arena
from osc_bridge.audio.callback import Callback
from osc_bridge.audio.device import DeviceSettings, Opened
from osc_bridge.audio.mixer import Mixer
from server.audio.waveform import Samples
from server.errors import DeviceError

__all__ = ["OfflineDevice"]


class OfflineDevice:
    """Renders blocks on request, faster than real time.

    Args:
        sample_rate: in Hz.
        blocksize: in frames.
    """

    def __init__(self, sample_rate: int = 48000, blocksize: int = 128) -> None:
        self.sample_rate = sample_rate
        self.blocksize = blocksize
        self._callback: Callback | None = None
        self._mixer: Mixer | None = None
        self._opened_ns = self._opened_frame = 0

    async def open(self, arena: Arena, settings: DeviceSettings, frame: int) -> Opened:
        """Be ready to render from ``frame``."""
        self.sample_rate = settings.sample_rate or self.sample_rate
        arena.commands.clear()
        self._mixer = Mixer(arena, self.sample_rate, frame)
        self._callback = Callback(self._mixer)
        self._opened_frame, self._opened_ns = frame, time.monotonic_ns()
        arena.publish(frame, self._opened_ns)
        return Opened(name="offline", sample_rate=self.sample_rate)

    async def close(self) -> None:
        """Stop; nothing can be rendered until it is opened again."""
        self._mixer = self._callback = None

    def failure(self) -> str:
        """Always empty: memory does not fail."""
        return ""

    def render(self, frames: int, recorded: Samples | None = None) -> Samples:
        """Render the next ``frames``, block by block.

        Args:
            frames: how many.
            recorded: the input meanwhile [frames, 2].

        Returns:
            A new array [frames, 2].

        Raises:
            DeviceError: the device is closed.
        """
        if self._mixer is None or self._callback is None:
            raise DeviceError("the offline device is closed; open it first")
        out = np.zeros((frames, CHANNELS), np.float32)
        inputs = out[:, :0] if recorded is None else recorded
        for at in range(0, frames, self.blocksize):
            part = slice(at, min(at + self.blocksize, frames))
            self._callback.block(inputs[part], out[part], part.stop - part.start)
            elapsed = (self._mixer.frame - self._opened_frame) / self.sample_rate
            self._callback.account(part.stop - part.start, self._opened_ns + int(elapsed * 1e9))
        return out
