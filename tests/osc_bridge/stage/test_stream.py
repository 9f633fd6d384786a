"""The stream: never silent, follows its prompt, climbs down the ladder and up again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy_engine import LEVEL, pitch
from stage_rig import RATE, Rig, stage_rig

from osc_bridge.stage.stream.ladder import ladder
from osc_bridge.stage.stream.prompt_path import PromptPath, corner_weights
from osc_bridge.stage.stream.report import StreamReport, StreamSettings
from server.audio.clip import Clip
from server.errors import InvalidRequest
from server.jobs.job import Job

pytestmark = pytest.mark.integration

SETTINGS = StreamSettings(chunk_s=2.0, crossfade_s=0.2, morph_s=0.3, num_inference_steps=16)


@asynccontextmanager
async def streaming(
    model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, step_s: float = 0.0
) -> AsyncIterator[Rig]:
    """A rig with a stream of "rain" that has begun to sound."""
    monkeypatch.setattr("osc_bridge.stage.stream.conductor.POLL_S", 0.0)
    monkeypatch.setattr("osc_bridge.stage.stream.stream._RETRY_S", 0.01)
    async with stage_rig(model, folder, step_s) as rig:
        rig.stage.stream.settings = SETTINGS
        await rig.stage.start_stream("rain")
        await rig.until(lambda: report(rig).state == "playing")
        await rig.run(0.5)
        yield rig


def report(rig: Rig) -> StreamReport:
    return rig.stage.stream.status()


def levels(heard: np.ndarray) -> np.ndarray:
    """RMS of every 10 ms."""
    return np.sqrt((heard[: len(heard) // 480 * 480, 0].reshape(-1, 480) ** 2).mean(axis=1))


def frequency(heard: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(heard[:, 0] * np.hanning(len(heard))))
    return float(spectrum.argmax()) * RATE / len(heard)


async def paced(rig: Rig, seconds: float, true: Callable[[], bool] = lambda: False) -> np.ndarray:
    """About as fast as real time, so that a render lasts as long as it says."""
    first, loop = rig.stage.player.frame_now(), asyncio.get_running_loop()
    begun = loop.time()
    while not true() and rig.stage.player.frame_now() - first < seconds * RATE:
        await rig.run(0.01)
        ahead = (rig.stage.player.frame_now() - first) / RATE - (loop.time() - begun)
        await asyncio.sleep(max(0.0, ahead))
    return rig.heard[first - rig.begin :]


def test_continued_chunks_join_without_a_seam(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every chunk goes on with the phase of the last one: one sine without an end."""

    async def run() -> None:
        async with streaming(tiny_folder, tmp_path, monkeypatch) as rig:
            await rig.until(lambda: report(rig).rendered >= 8)
            heard = rig.heard[np.flatnonzero(rig.heard[:, 0])[0] + RATE :]
            assert report(rig).method == "continue"
            assert report(rig).rung == "full"
            assert report(rig).recombined == 0
            step = 2 * np.pi * pitch("rain") / RATE * LEVEL
            assert np.abs(np.diff(heard[:, 0])).max() < 1.02 * step
            loud = levels(heard)
            assert loud.min() > 0.9 * LEVEL / np.sqrt(2)
            assert loud.max() < 1.1 * LEVEL / np.sqrt(2)

    asyncio.run(run())


def test_an_engine_that_cannot_continue_gets_crossfades(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            monkeypatch.setattr("osc_bridge.stage.stream.conductor.POLL_S", 0.0)
            rig.engine.can_continue = False
            rig.stage.stream.settings = SETTINGS
            await rig.stage.start_stream("rain")
            await rig.until(lambda: report(rig).rendered >= 6)
            assert report(rig).method == "crossfade"
            heard = rig.heard[np.flatnonzero(rig.heard[:, 0])[0] + RATE // 2 :]
            # Chunks of one pitch and any phase: at worst they cancel for a part of a crossfade.
            assert (levels(heard) > 0.02).mean() > 0.95

    asyncio.run(run())


def test_a_prompt_is_followed_and_the_old_one_does_not_come_back(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with streaming(tiny_folder, tmp_path, monkeypatch) as rig:
            rig.stage.stream.set_prompt("bells", over_s=0.0)
            await rig.until(lambda: report(rig).prompt == "bells")
            changed = await rig.run(1.5)
            assert levels(changed).min() > 0.05
            rig.engine.down.clear()  # nothing new: what is there is recombined
            await rig.until(lambda: report(rig).rung == "recombine")
            later = await rig.run(6.0)
            assert frequency(later) == pytest.approx(pitch("bells"), abs=2)
            rig.engine.down.set()

    asyncio.run(run())


def test_it_goes_on_when_the_engine_hangs_and_says_so(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with streaming(tiny_folder, tmp_path, monkeypatch) as rig:
            await rig.until(lambda: report(rig).rendered >= 4)
            rig.engine.down.clear()
            await rig.until(lambda: report(rig).rung == "recombine")
            begun = len(rig.heard)
            await rig.until(lambda: report(rig).recombined >= 8, seconds=20.0)
            heard = rig.heard[begun:]
            assert (levels(heard) > 0.02).mean() > 0.97
            rig.engine.down.set()
            await rig.until(lambda: report(rig).rung == "full")
            rungs = [n.rung for n in rig.notices if isinstance(n, StreamReport)]
            assert "recombine" in rungs

    asyncio.run(run())


def test_if_we_hang_the_last_chunk_repeats(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody schedules anything any more; only the mixer goes on."""

    async def run() -> None:
        async with streaming(tiny_folder, tmp_path, monkeypatch) as rig:
            heard = rig.device.render(RATE * 20)
            assert levels(heard).min() > 0.02

    asyncio.run(run())


def test_the_ladder_takes_fewer_steps_when_rendering_is_slow(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes 0.25 s: 16 of them last 4 s, but a chunk only 1.8 s."""

    async def run() -> None:
        async with streaming(tiny_folder, tmp_path, monkeypatch, step_s=0.25) as rig:
            await paced(rig, 20.0, lambda: report(rig).num_inference_steps == 4)
            assert report(rig).num_inference_steps == 4
            await paced(rig, 20.0, lambda: report(rig).rung == "quarter")
            assert report(rig).rung == "quarter"
            rig.engine.step_s = 0.0
            await paced(rig, 20.0, lambda: report(rig).rung == "full")
            assert report(rig).rung == "full"
            assert report(rig).real_time_factor < 1.0

    asyncio.run(run())


def test_the_xy_pad_blends_its_corners(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with streaming(tiny_folder, tmp_path, monkeypatch) as rig:
            with pytest.raises(InvalidRequest, match="0 corners"):
                rig.stage.stream.move(0.5, 0.5)
            rig.stage.stream.set_corners(["rain", "bells", "wind", "sea"])
            rig.stage.stream.move(1.0, 0.0)
            await rig.until(lambda: report(rig).prompt == "bells")
            heard = (await rig.run(4.0))[-2 * RATE :]
            assert frequency(heard) == pytest.approx(pitch("bells"), abs=2)
            rig.stage.stream.move(0.5, 1.0)
            await rig.until(lambda: report(rig).prompt == "wind:0.50 + sea:0.50")

    asyncio.run(run())


def test_stopping_fades_out_and_gives_memory_back(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with streaming(tiny_folder, tmp_path, monkeypatch) as rig:
            everything = rig.stage.player.arena.store.shape[0]
            folder = rig.stage.stream._producer.maker._folder
            await rig.stage.stream.stop(0.1)
            heard = await rig.run(0.5)
            assert levels(heard)[0] > 0.05
            assert not heard[-RATE // 5 :].any()
            assert rig.stage.player.clips.free_frames == everything
            assert not folder.exists()
            assert report(rig).state == "stopped"
            await rig.stage.stream.stop()

    asyncio.run(run())


def test_stopping_ends_a_render_that_fails_at_clearing_up(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure takes the place of the cancellation, and the stream must not go on after it."""
    reading, read = threading.Event(), threading.Event()

    def slow(name: str) -> Clip:
        reading.set()
        read.wait(10)
        raise AssertionError("nobody waits for this any more")

    def fail(job: Job, folder: Path) -> None:
        raise FileNotFoundError(folder)

    async def run() -> None:
        async with streaming(tiny_folder, tmp_path, monkeypatch) as rig:
            monkeypatch.setattr("server.audio.fence.reading.load_clip", slow)
            await rig.until(reading.is_set)
            monkeypatch.setattr("osc_bridge.stage.stream.chunks._delete", fail)
            ending = asyncio.create_task(rig.stage.stream.stop(0.0))
            done, pending = await asyncio.wait((ending,), timeout=2)
            read.set()
            for task in pending:
                task.cancel()
            assert done == {ending}

    asyncio.run(run())


def test_memory_and_disk_stay_flat(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with streaming(tiny_folder, tmp_path, monkeypatch) as rig:
            await rig.until(lambda: report(rig).rendered >= 14)
            assert len(rig.stage.player.clips) <= 8
            assert len(list(rig.stage.stream._producer.maker._folder.iterdir())) <= 2

    asyncio.run(run())


def test_prompts_that_cannot_be_used(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            with pytest.raises(InvalidRequest, match="prompt is empty"):
                await rig.stage.start_stream("  ")
            assert not rig.stage.stream.running

    asyncio.run(run())


def test_ladders_and_paths() -> None:
    assert [r.num_inference_steps for r in ladder(4)] == [4, 2, 0]
    assert [r.num_inference_steps for r in ladder(1)] == [1, 0]
    assert [r.name for r in ladder(100)] == ["full", "half", "quarter", "fewest", "recombine"]
    path = PromptPath("rain:3 + wind:1")
    assert path.at(0.0) == "rain:0.75 + wind:0.25"
    path.go("sea", 1.0, 2.0)
    assert path.at(2.0) == "rain:0.38 + wind:0.12 + sea:0.50"
    assert path.at(3.0) == "sea"
    assert sum(corner_weights(["a", "b", "c"], 0.9, 0.9).values()) == pytest.approx(1.0)
    with pytest.raises(InvalidRequest, match="x and y go from 0 to 1"):
        corner_weights(["a", "b"], 1.5, 0.0)
