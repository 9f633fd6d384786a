"""Pads in the hands of performers: sequencers that send ahead, clocks that wander, panic."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stage_rig import RATE, SHAPE, Rig, stage_rig
from test_pads import first_sound, loaded

from osc_bridge.audio.device import DeviceSettings
from osc_bridge.stage.bars import BarReport
from osc_bridge.stage.liveset import parse_set
from osc_bridge.stage.pads.slot import PadReport
from server.requests.request import TextToAudio

KICK, BED, OTHER, FREE = 1, 2, 3, 4


def pad(rig: Rig, number: int) -> PadReport:
    return rig.stage.pads.reports()[number - 1]


async def begun(rig: Rig, number: int, velocity: float = 1.0) -> None:
    rig.stage.pads.hit(number, velocity)
    await rig.until(lambda: pad(rig, number).state == "playing")
    await rig.run(0.1)


async def wait(true: Callable[[], bool], meanwhile: Callable[[], object] = lambda: None) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        meanwhile()
        await asyncio.sleep(0.01)


def test_hits_that_are_sent_ahead_do_not_take_each_other_back(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """A pattern of sixteenths with a latency of 0.2 s: three hits are always on their way."""

    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await loaded(rig)
            now, pads = rig.stage.player.frame_now(), rig.stage.pads
            times = [now + 4800 + n * RATE for n in range(3)]
            assert [pads.play(FREE, 1.0, at) for at in times] == times
            pads.play(FREE, 1.0, times[1])  # twice at one time is once
            heard = await rig.run(3.5)
            for at in times:
                assert not heard[at - now - 100 : at - now].any()
                assert heard[at - now : at - now + 100].any()
            assert np.abs(heard[times[1] - now :][:4800]).max() == pytest.approx(
                np.abs(heard[times[0] - now :][:4800]).max(), rel=0.01
            )
            line = rig.stage.transport.map
            beat = line.next_multiple(rig.stage.player.frame_now() + RATE, 4.0)
            start, end = line.frame_of(beat), line.frame_of(beat + 4.0)
            now = rig.stage.player.frame_now()
            assert pads.hit(BED, 1.0, start) == start
            assert pads.hit(BED, 1.0, end) == end  # on, and off a bar later
            heard = await rig.run((end - now) / RATE + 1.0)
            assert now + first_sound(heard) - start in (0, 1)
            last = now + int(np.flatnonzero(np.abs(heard).max(axis=1) > 1e-4)[-1])
            assert end < last <= end + 0.011 * RATE

    asyncio.run(run())


def test_a_soft_hit_stays_soft(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await loaded(rig)
            await begun(rig, BED, 0.3)
            soft = np.abs(await rig.run(0.5)).max()
            rig.stage.pads.set_gain(BED, 0.0)
            assert np.abs(await rig.run(0.5)).max() == pytest.approx(soft, rel=0.02)
            rig.stage.pads.refresh(BED)
            await rig.until(lambda: not pad(rig, BED).refreshing)
            # While the two takes change over, their peaks may add up.
            after = (await rig.run(4.0))[-RATE:]
            assert np.abs(after).max() == pytest.approx(soft, rel=0.02)

    asyncio.run(run())


def test_loops_follow_a_clock_that_is_never_still(tiny_folder: Path, tmp_path: Path) -> None:
    """Link and MIDI clock correct the map many times a second, MIDI clock the tempo as well."""

    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await loaded(rig)
            await begun(rig, BED)
            stage, draw = rig.stage, random.Random(1)
            slot = stage.pads._slots[BED]

            def correct(bpm: float, jitter: float) -> None:
                now = stage.player.frame_now()
                beat = stage.transport.map.beat_at(now) + draw.gauss(0.0, 0.0003)
                stage.transport.sync(beat, bpm + draw.gauss(0.0, jitter), now, led=True)

            first = slot.clips
            await wait(lambda: slot.clips is not first, lambda: correct(100.0, 0.1))
            assert slot.clip.period == pytest.approx(RATE * 240 / 100, rel=0.01)
            await wait(lambda: stage.pads._realigning is None, lambda: correct(100.0, 0.1))
            cut = slot.clips
            for _ in range(200):  # jitter alone is no change
                correct(100.0, 0.1)
            assert stage.pads._realigning is None
            assert slot.clips is cut

    asyncio.run(run())


def test_what_was_rendered_for_another_tempo_is_cut_to_the_one_of_now(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            rig.engine.down.clear()
            await rig.stage.use_set(
                parse_set(b"name: x\npads: [{name: '808', prompt: bed, bars: 1, takes: 2}]")
            )
            await asyncio.sleep(0)
            rig.stage.clock.set_tempo(150.0)
            await wait(lambda: rig.stage.pads._grid.map.bpm == 150.0)
            rig.engine.down.set()
            await rig.until(lambda: pad(rig, 1).state == "ready")
            clips = rig.stage.pads._slots[1].clips
            assert [clip.period for clip in clips] == [pytest.approx(RATE * 240 / 150)] * 2
            assert rig.stage.pads.number_of(808) == 1  # a name, though it looks like a number

    asyncio.run(run())


def test_a_pad_without_room_or_length_says_so_and_leaves_nothing(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        text = b"name: x\ntempo_bpm: 240\npads: [{name: a, prompt: a, seconds: 50, takes: 4}"
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await rig.stage.use_set(parse_set(text + b", {name: b, prompt: b, bars: 64}]"))
            rig.stage.clock.set_tempo(20.0)  # 64 bars are longer than any sound may be
            rig.stage.pads.refresh(1) if pad(rig, 1).takes else None
            await rig.until(lambda: pad(rig, 1).state == "failed")
            assert "no room" in pad(rig, 1).error
            assert SHAPE.store_frames - rig.stage.player.clips.free_frames == sum(
                clip.frames for clip in rig.stage.player.clips._clips.values()
            )
            assert all(not s.clips for s in rig.stage.pads._slots.values() if s.number == 1)
            assert len(rig.stage.player.clips) == len(rig.stage.pads._slots[2].clips)

    asyncio.run(run())


def test_two_sets_at_once_leave_one(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await loaded(rig)
            sets = [
                parse_set(b"name: x\npads: [{name: a, prompt: a}, {name: b, prompt: b}]"),
                parse_set(b"name: y\npads: [{name: c, prompt: c}]"),
            ]
            rig.engine.down.clear()
            await rig.stage.use_set(sets[0])
            await asyncio.gather(*(rig.stage.use_set(s) for s in sets))
            assert [r.name for r in rig.stage.pads.reports()] == ["c"]

    asyncio.run(run())


def test_nothing_comes_back_after_panic(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path, step_s=0.01) as rig:
            await loaded(rig)
            await begun(rig, BED)
            reported: list[BarReport] = []
            request = TextToAudio(prompt="riser", bars=1.0, bpm=120.0, num_inference_steps=20)
            await rig.stage.start_stream("rain")
            rig.stage.bars.render(request, rig.stage.transport.position()[0] + 50, reported.append)
            rig.stage.stop_all(3.0)
            rig.stage.pads.refresh(BED)
            rig.stage.clock.set_tempo(130.0)
            await rig.until(lambda: not pad(rig, BED).refreshing and bool(reported))
            assert (reported[-1].state, reported[-1].error) == ("failed", "stopped")
            await wait(lambda: rig.stage.pads._realigning is None)
            await rig.run(4.0)
            assert not (await rig.run(4.0)).any()
            assert pad(rig, BED).state == "ready"
            rig.stage.stop_all(1.0)
            rig.stage.pads.hit(FREE)  # in the same block, but after it
            assert (await rig.run(0.1)).any()

    asyncio.run(run())


def test_a_loop_that_was_there_before_a_tempo_change_keeps_its_place_on_a_new_device(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            await loaded(rig)
            await begun(rig, BED)
            slot = rig.stage.pads._slots[BED]
            slot.pad = parse_set(
                b"name: x\npads: [{name: bed, prompt: p, seconds: 2}]"
            ).pads[0]  # fmt: skip
            (voice,) = slot.voices
            begin = rig.stage.player.start_frame(voice)
            rig.stage.clock.set_tempo(77.0)
            assert rig.stage.player.start_frame(voice) == begin
            await rig.stage.open_device(DeviceSettings())
            assert rig.stage.player.start_frame(voice) == begin

    asyncio.run(run())
