"""One model on two devices: they share its queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

import server.engine.executor
from server.engine.fleet import Fleet
from server.engine.fleet_model import worker_executors
from server.jobs.job import JobState
from server.requests.request import TextToAudio
from server.worker.protocol import Done, OnDevice, Ready
from server.worker.renderer import MemoryRenderer, Renderer

HALF = TextToAudio(prompt="low", seed=1, audio_length_in_s=0.5, guidance_scale=2.0)
LONGER = msgspec.structs.replace(HALF, audio_length_in_s=2.0)
READY = Ready(("CPUExecutionProvider",), 64)


@asynccontextmanager
async def two_devices(
    folder: Path, takes: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Fleet, list[MemoryRenderer]]]:
    renderers: list[MemoryRenderer] = []

    def next_renderer() -> AbstractAsyncContextManager[Renderer]:
        renderers.append(MemoryRenderer(READY))
        return renderers[-1].running()

    monkeypatch.setattr(server.engine.executor, "_RESTART_PAUSE_S", 0.0)
    devices = ("left", "right")
    make = worker_executors(devices, 1, 60.0, new_renderer=next_renderer)
    fleet = Fleet([folder], takes, devices=devices, make_executors=make)
    await fleet.start()
    try:
        yield fleet, renderers
    finally:
        await fleet.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0)


def test_a_job_goes_to_the_device_with_the_fewest(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with two_devices(tiny_folder, tmp_path, monkeypatch) as (fleet, (left, right)):
            ids = [(await fleet.submit(HALF)).id for _ in range(4)]
            assert (left.jobs, right.jobs) == ([ids[0], ids[2]], [ids[1], ids[3]])
            other = (await fleet.submit(LONGER)).id
            assert (fleet.status().running, fleet.job(other).position) == (4, 4)
            left.report(Done(ids[0], ()), Done(ids[2], ()))
            await until(lambda: other in left.jobs)
            assert fleet.models()[0].jobs == 3

    asyncio.run(scenario())


def test_a_job_of_a_device_that_dies_goes_on_on_the_other(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with two_devices(tiny_folder, tmp_path, monkeypatch) as (fleet, renderers):
            left, right = renderers
            first, second = [(await fleet.submit(LONGER)).id for _ in range(2)]
            left.report(OnDevice((first,)))
            right.report(Done(second, ()))
            await until(lambda: fleet.job(second).state.final)
            await until(lambda: fleet.job(first).attempts == 1)
            left.report(ConnectionError("killed"))
            await until(lambda: first in right.jobs)
            right.report(OnDevice((first,)), Done(first, ()))
            done = await fleet.ended(first)
            assert (done.state, done.attempts) == (JobState.DONE, 2)
            await until(lambda: len(renderers) == 3)
            assert fleet.status().restarts == 1

    asyncio.run(scenario())
