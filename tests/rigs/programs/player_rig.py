"""A player on the in-memory output."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np

from osc_bridge.audio.arena import ArenaShape
from osc_bridge.audio.device import DeviceSettings, Opened
from osc_bridge.audio.offline import OfflineDevice
from osc_bridge.audio.player import Player
from server.audio.waveform import Waveform
from server.errors import DeviceError

RATE = 48000
SHAPE = ArenaShape(store_frames=RATE * 10, capture_frames=RATE * 4)


def noise(frames: int, channels: int = 2, rate: int = RATE, seed: int = 0) -> Waveform:
    samples = np.random.default_rng(seed).uniform(-0.3, 0.3, (frames, channels))
    return Waveform(samples.astype(np.float32), rate)


class FlakyDevice(OfflineDevice):
    """A memory output whose plug can be pulled."""

    def __init__(self) -> None:
        super().__init__(RATE)
        self.pulled = ""

    async def open(self, arena, settings, frame) -> Opened:
        if self.pulled:
            raise DeviceError(self.pulled)
        return await super().open(arena, settings, frame)

    def failure(self) -> str:
        return self.pulled


@asynccontextmanager
async def playing(device: OfflineDevice | None = None) -> AsyncIterator[tuple[Player, Callable]]:
    device = device or OfflineDevice(RATE)
    player = Player(device, SHAPE)
    await player.open(DeviceSettings())
    try:
        yield player, device.render
    finally:
        await player.close()
        player.shut_down()
