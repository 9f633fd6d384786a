"""A worker that is killed before it has ever been ready."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest
from engine_log import EngineLog, running_engine

from server.engine.executor import MAX_LOADS
from server.engine.local import LocalEngine
from server.errors import ModelError
from server.requests.request import TextToAudio

QUICK = TextToAudio(prompt="low hum", seed=7, num_inference_steps=3, audio_length_in_s=0.5)


async def kill_next_worker(known: list[psutil.Process]) -> None:
    """Kill a worker as soon as it is there; importing alone takes it longer than that.

    ``known`` are children that are none, or dead: what other tests have left, say.
    """
    before = {process.pid for process in known}
    while True:
        for child in psutil.Process().children():
            if child.pid not in before and child.status() != psutil.STATUS_ZOMBIE:
                child.kill()
                known.append(child)
                return
        await asyncio.sleep(0.005)


def test_one_death_while_loading_costs_time_only(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = LocalEngine(tiny_folder, tmp_path, device="cpu", threads=1)
        log = EngineLog(engine)
        try:
            await asyncio.gather(engine.start(), kill_next_worker(psutil.Process().children()))
            assert engine.status().restarts == 1
            job = await log.final((await engine.submit(QUICK)).id)
            assert (job.state.value, job.attempts) == ("done", 1)
        finally:
            await engine.close()

    asyncio.run(scenario())


def test_the_last_of_several_deaths_is_the_models_fault(tiny_folder: Path, tmp_path: Path) -> None:
    async def kill_all(known: list[psutil.Process]) -> None:
        for _ in range(MAX_LOADS):
            await kill_next_worker(known)

    async def scenario() -> None:
        killing = asyncio.create_task(kill_all(psutil.Process().children()))
        with pytest.raises(ModelError, match=f"died {MAX_LOADS} times while it loaded"):
            async with running_engine(tiny_folder, tmp_path):
                pass
        await killing

    asyncio.run(scenario())
