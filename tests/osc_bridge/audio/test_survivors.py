"""A player on the memory of a program that has gone, whose voices still sound."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest
from player_rig import RATE, SHAPE, noise

from osc_bridge.audio.arena import Arena, Gauge
from osc_bridge.audio.clips import Loop
from osc_bridge.audio.device import DeviceSettings, Opened
from osc_bridge.audio.offline import OfflineDevice
from osc_bridge.audio.player import Player


class StillPlaying(OfflineDevice):
    """Goes on where it is."""

    async def open(self, arena: Arena, settings: DeviceSettings, frame: int) -> Opened:
        return Opened(name="offline", sample_rate=RATE)


def test_what_sounds_goes_on_until_the_new_program_replaces_it() -> None:
    async def run() -> None:
        device = OfflineDevice(RATE)
        dead = Player(device, SHAPE)
        await dead.open(DeviceSettings())
        dead.set_master(-6.0)
        old = await dead.load(noise(RATE), Loop())
        dead.start(old)
        dead.start(old, dead.frame_now() + 10 * RATE)
        device.render(RATE)
        dead.start(old)  # on its way when the program dies
        await dead.device._stop_watching()

        stamp = int(dead.arena.gauges[Gauge.STAMP])
        arena = Arena.adopt(dead.arena.path, SHAPE, stamp)
        player = Player(StillPlaying(RATE), arena)
        await player.open(DeviceSettings())
        assert math.isclose(player.master_db, -6.0)
        assert player.frame_now() == dead.frame_now()
        assert np.abs(device.render(RATE)).max(axis=1).reshape(100, -1).max(axis=1).min() > 0.05

        mine = await player.load(noise(RATE), Loop())
        assert mine.offset >= old.offset + old.frames
        voice = player.start(mine)
        device.render(1000)
        assert player.status().voices == 3
        player.release_survivors(0.1)
        device.render(RATE)
        assert player.status().voices == 1
        player.poll()
        assert player.is_playing(voice)
        assert not arena.gauges[Gauge.FIRST_OWN]
        filler = await player.load(noise(old.frames))
        assert filler.offset == 0
        device.render(10 * RATE)
        assert player.status().voices == 1
        player.stop_all()
        device.render(RATE)
        assert player.status().voices == 0
        await player.close()
        player.shut_down()
        dead.shut_down()

    asyncio.run(run())


def test_another_memory_is_not_adopted() -> None:
    arena = Arena.create(SHAPE)
    stamp = int(arena.gauges[Gauge.STAMP])
    with pytest.raises(OSError, match="another memory"):
        Arena.adopt(arena.path, SHAPE, stamp + 1)
    with pytest.raises(OSError, match="no memory of this size"):
        Arena.adopt(arena.path, type(SHAPE)(store_frames=RATE * 100), stamp)
    arena.gauges[Gauge.QUIT] = 1
    with pytest.raises(OSError, match="is ending"):
        Arena.adopt(arena.path, SHAPE, stamp)
    arena.close()
