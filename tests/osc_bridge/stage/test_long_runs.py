"""What only shows after hours: devices that stay away, full memory, rings that wrap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from player_rig import RATE, SHAPE, FlakyDevice, noise, playing
from stage_rig import stage_rig

from osc_bridge.audio.arena import Arena, ArenaShape, Event, Op
from osc_bridge.audio.clips import Loop, prepare
from osc_bridge.audio.device import DeviceSettings
from osc_bridge.audio.mixer import Mixer
from osc_bridge.audio.offline import OfflineDevice
from osc_bridge.audio.player import Player
from osc_bridge.service.bundles import MAX_AHEAD_S, BundleScheduler
from osc_bridge.stage.clock import Follower, MidiClock
from osc_bridge.stage.transport import Transport
from server.audio.waveform import Waveform
from server.errors import InvalidRequest


async def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.005)


def test_a_rate_at_which_not_everything_fits_is_played_all_the_same(monkeypatch) -> None:
    monkeypatch.setattr("osc_bridge.audio.output.REOPEN_S", 0.01)

    async def run() -> None:
        device = FlakyDevice()
        async with playing(device) as (player, render):
            first = await player.load(noise(4 * RATE), Loop())
            second = await player.load(noise(4 * RATE), Loop())
            voices = [player.start(clip) for clip in (first, second)]
            render(1000)
            device.pulled, device.sample_rate = "another rate", 96000
            await until(lambda: player.status().state == "lost")
            device.pulled = ""
            await until(lambda: player.device.reopened == 1)
            assert render(1000).any()
            for voice in voices:
                player.stop(voice, fade_s=0.0)
            render(1000)
            await until(lambda: not any(map(player.is_playing, voices)))  # the watch is alive
            player.unload(first)
            player.unload(second)
            assert player.clips.free_frames == SHAPE.store_frames

    asyncio.run(run())


def test_a_listener_that_fails_does_not_end_the_watch() -> None:
    async def run() -> None:
        device = FlakyDevice()
        async with playing(device) as (player, render):
            clip = await player.load(noise(100))
            player.start(clip, on_end=lambda: 1 / 0)
            other = player.start(clip)
            render(1000)
            await until(lambda: not player.is_playing(other))
            device.pulled = "the cable was pulled"
            await until(lambda: player.status().state == "lost")

    asyncio.run(run())


def test_a_stream_without_a_device_keeps_no_more_voices_than_sound(monkeypatch) -> None:
    monkeypatch.setattr("osc_bridge.audio.output.REOPEN_S", 0.01)

    async def run() -> None:
        device = FlakyDevice()
        async with playing(device) as (player, render):
            render(1000)
            device.pulled = "the cable was pulled"
            await until(lambda: player.status().state == "lost")
            clip = await player.load(noise(RATE), Loop())
            for _ in range(100):
                player.stop(player.start(clip), player.frame_now())
            lasting = player.start(clip)
            await until(lambda: len(player._voices) == 1)
            assert player.is_playing(lasting)

    asyncio.run(run())


def test_the_capture_ring_holds_silence_where_no_device_was(monkeypatch) -> None:
    async def run() -> None:
        async with playing() as (player, render):
            player.start(await player.load(noise(RATE), Loop(seam_s=0.0)))
            render(8 * RATE)  # the ring has wrapped
            last = player.frame_now()
            monkeypatch.setattr(player, "next_frame", lambda: last + RATE)
            await player.open(DeviceSettings())
            assert player.frame_now() == last + RATE  # before the first block, too
            render(RATE)
            heard = np.abs(player.capture(2.5).samples).max(axis=1)
            assert not heard[RATE // 2 : RATE * 3 // 2].any()
            assert heard[: RATE // 2].any()
            assert heard[RATE * 3 // 2 :].any()
            await player.open(DeviceSettings(sample_rate=44100))
            render(441)
            assert not player.capture(2.0).samples[:-441].any()

    asyncio.run(run())


def test_two_who_open_a_device_at_once_take_turns() -> None:
    class Counting(OfflineDevice):
        opening = 0

        async def open(self, arena, settings, frame):
            self.opening += 1
            assert self.opening == 1
            await asyncio.sleep(0.01)
            self.opening -= 1
            return await super().open(arena, settings, frame)

    async def run() -> None:
        player = Player(Counting(RATE), SHAPE)
        settings = DeviceSettings()
        await asyncio.gather(player.open(settings), player.open(settings), player.close())
        assert player.status().state == "closed"
        player.shut_down()

    asyncio.run(run())


def _start(arena: Arena, voice: int, frame: int) -> None:
    assert arena.commands.push(int(Op.START), voice, frame, 0, 4800, 0, 0.0, 1.0, 0, 0, 0)


def _do(arena: Arena, op: Op, voice: int = 0, frame: int = 0, kind: int = 0) -> None:
    assert arena.commands.push(int(op), voice, frame, kind, 0, 0, 0.0, 0.0, 0, 0, 0)


def test_stopping_everything_reaches_a_mixer_full_of_waiting_starts() -> None:
    arena = Arena.create(ArenaShape(store_frames=RATE, capture_frames=RATE))
    arena.store[:] = 0.1
    mixer = Mixer(arena, RATE, 1000)
    _start(arena, 1, 0)
    assert mixer.render(128).any()
    for voice in range(2, 602):
        _start(arena, voice, 10**9)
    _do(arena, Op.STOP_ALL)
    _do(arena, Op.RETIME, 2, 2000, int(Op.START))  # moving it does not save it
    _start(arena, 999, 0)
    mixer.render(128)
    reported = list(iter(arena.events.pop, None))
    cancelled = [voice for event, voice, _ in reported if event == Event.CANCELLED]
    assert sorted(cancelled) == list(range(2, 602))
    assert (Event.STARTED, 999, 1128) in reported  # came after it
    assert (Event.FINISHED, 1) in [(event, voice) for event, voice, _ in reported]
    arena.close()


def test_a_loop_a_little_short_of_its_period_goes_on_with_its_beginning() -> None:
    ones = Waveform(np.ones((RATE, 2), np.float32), RATE)
    samples, start, period = prepare(ones, RATE, Loop(period_s=1.001, seam_s=0.01))
    assert period == pytest.approx(RATE * 1.001)
    assert np.abs(samples).min() > 0.9  # no hole at the seam
    assert samples.shape[0] >= start + round(period)


def test_bundles_for_handlers_that_take_the_time_are_admitted_alike() -> None:
    scheduler = BundleScheduler()
    assert scheduler.admit(time.time() + 10)
    assert not scheduler.admit(time.time() - 10)
    assert scheduler.late == 1
    with pytest.raises(InvalidRequest, match="are the clocks set alike"):
        scheduler.admit(time.time() + MAX_AHEAD_S + 10)


def test_midi_ticks_while_stopped_do_not_move_the_song() -> None:
    transport = Transport(lambda: 0, RATE, bpm=120.0)
    clock = MidiClock(Follower(transport, lambda ns: round(ns * RATE / 1e9)))
    tick_s, ticks = 60.0 / 120.0 / 24, iter(range(10**6))

    def tick(beats: int) -> None:
        for _ in range(beats * 24):
            clock.receive("clock", int((1.0 + next(ticks) * tick_s) * 1e9))

    clock.receive("start", 0)
    tick(8)
    clock.receive("stop", 0)
    tick(5)
    clock.receive("continue", 0)
    tick(4)
    now_s = 1.0 + next(ticks) * tick_s
    assert transport.map.beat_at(now_s * RATE) == pytest.approx(12.0, abs=0.05)


def test_a_stream_that_is_started_while_another_ends_goes_on(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osc_bridge.stage.stream.conductor.POLL_S", 0.0)

    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            stream = rig.stage.stream
            await rig.stage.start_stream("rain")
            await rig.until(lambda: stream.status().state == "playing")
            stopping = asyncio.create_task(stream.stop(0.1))
            await asyncio.sleep(0)
            await rig.stage.start_stream("wind")
            await stopping
            assert stream.running
            await rig.until(lambda: stream.status().rendered >= 4)
            assert stream.status().state == "playing"
            assert stream.status().error == ""
            await stream.stop(0.1)
            await rig.run(0.5)
            assert not (await rig.run(2.0)).any()  # nothing of the first one either

    asyncio.run(run())
