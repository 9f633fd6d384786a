"""A worker that is killed before it has ever been ready."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_log import EngineLog, running_engine

import server.engine.executor
from server.engine.executor import MAX_LOADS
from server.engine.local import LocalEngine
from server.errors import ModelError
from server.requests.request import TextToAudio
from server.worker.renderer import Renderer

pytestmark = pytest.mark.integration

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


def test_a_worker_that_cannot_be_started_says_so(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*arguments: Any, **options: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refused)

    async def scenario() -> None:
        async with asyncio.timeout(30):
            engine = LocalEngine(tiny_folder, tmp_path, device="cpu", threads=1)
            with pytest.raises(ModelError, match="Resource temporarily unavailable"):
                await engine.start()
            assert engine.status().state == "down"

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [OSError("no"), KeyError("a bug"), ConnectionError("gone")])
def test_whatever_keeps_the_renderer_from_starting_ends_the_start(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(server.engine.executor, "_RESTART_PAUSE_S", 0.0)

    def refused() -> AbstractAsyncContextManager[Renderer]:
        raise error

    async def scenario() -> None:
        async with asyncio.timeout(30):
            with pytest.raises(ModelError, match=f"{MAX_LOADS} times"):
                await LocalEngine(tiny_folder, tmp_path, new_renderer=refused).start()

    asyncio.run(scenario())
