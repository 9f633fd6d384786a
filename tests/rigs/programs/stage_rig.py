"""A stage on the in-memory output, whose time passes as fast as the machine renders it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from numpy_engine import NumpyEngine

from osc_bridge.audio.arena import ArenaShape
from osc_bridge.audio.device import DeviceSettings
from osc_bridge.audio.offline import OfflineDevice
from osc_bridge.stage.stage import Notice, Stage
from server.model.manifest import Manifest

RATE = 48000
SHAPE = ArenaShape(store_frames=RATE * 120, capture_frames=RATE * 60)


class Rig:
    """The stage, its engine, its notices, and everything it played."""

    def __init__(self, stage: Stage, engine: NumpyEngine, device: OfflineDevice) -> None:
        self.stage, self.engine, self.device = stage, engine, device
        self.notices: list[Notice] = []
        stage.notify = self.notices.append
        self.begin = stage.player.frame_now()
        self.recorded: np.ndarray | None = None
        """What comes in, [frames, 2], again and again."""
        self._blocks: list[np.ndarray] = []

    async def run(self, seconds: float) -> np.ndarray:
        """Let time pass; what was heard, [frames, 2]."""
        first = len(self._blocks)
        for _ in range(round(seconds * RATE / 480)):
            self._blocks.append(self.device.render(480, self._coming_in(480)))
            self.stage.player.poll()
            await asyncio.sleep(0)
        return np.concatenate(self._blocks[first:] or [np.zeros((0, 2), np.float32)])

    def _coming_in(self, frames: int) -> np.ndarray | None:
        if self.recorded is None:
            return None
        at = self.stage.player.frame_now() % len(self.recorded)
        part = self.recorded[at : at + frames]
        return np.concatenate([part, self.recorded[: frames - len(part)]])

    async def until(self, true: Callable[[], bool], seconds: float = 120.0) -> None:
        """Let time pass until ``true()``, at most ``seconds`` of sound."""
        for _ in range(round(seconds * 100)):
            if true():
                return
            await self.run(0.01)
            await asyncio.sleep(0.0005)
        raise AssertionError("it did not happen in time")

    @property
    def heard(self) -> np.ndarray:
        """Everything so far, from frame ``begin`` on."""
        return np.concatenate(self._blocks)


@asynccontextmanager
async def stage_rig(
    model: Path, folder: Path, step_s: float = 0.0, bpm: float = 120.0
) -> AsyncIterator[Rig]:
    """A stage with an open in-memory device."""
    engine = NumpyEngine(Manifest.load(model), folder, step_s)
    device = OfflineDevice(RATE)
    stage = Stage(engine, lambda notice: None, device, SHAPE)
    await stage.open_device(DeviceSettings())
    stage.transport.set_tempo(bpm)
    stage.transport.restart()
    try:
        yield Rig(stage, engine, device)
    finally:
        await stage.close()
        await engine.close()
