"""Workers that are killed or hang under a job: it costs time and not the take."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from engine_log import ENDLESS, SLOW, running_engine

from server.engine.local import LocalEngine
from server.jobs.job import JobState
from server.requests.request import TextToAudio

pytestmark = pytest.mark.integration

QUICK = TextToAudio(prompt="low hum", seed=7, num_inference_steps=3, audio_length_in_s=0.5)


def worker_pid(engine: LocalEngine) -> int:
    return int(engine.status().details["worker_pid"])


async def undisturbed(model: Path, folder: Path, request: TextToAudio) -> bytes:
    async with running_engine(model, folder) as (engine, log):
        job = await log.final((await engine.submit(request)).id)
        return job.takes[0].path.read_bytes()


def test_a_killed_worker_costs_time_and_not_the_take(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        expected = await undisturbed(tiny_folder, tmp_path / "calm", SLOW)
        async with running_engine(tiny_folder, tmp_path / "storm") as (engine, log):
            job = await engine.submit(SLOW)
            behind = await engine.submit(QUICK)
            await log.step(job.id, 5)
            os.kill(worker_pid(engine), signal.SIGKILL)
            done = await log.final(job.id)
            assert log.states(job.id) == ["queued", "running", "queued", "running", "done"]
            assert done.attempts == 2
            assert done.takes[0].path.read_bytes() == expected
            assert log.states(behind.id)[:1] == ["queued"]
            assert (await log.final(behind.id)).state is JobState.DONE
            assert engine.status().restarts == 1

    asyncio.run(scenario())


def test_a_job_that_kills_two_workers_fails_and_the_next_one_runs(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            job = await engine.submit(ENDLESS)
            behind = await engine.submit(QUICK)
            for attempt in (1, 2):
                await log.until(lambda n=attempt: engine.job(job.id).attempts == n)
                await log.step(job.id, 1)
                os.kill(worker_pid(engine), signal.SIGKILL)
                await log.until(lambda: engine.job(job.id).state is not JobState.RUNNING)
            failed = engine.job(job.id)
            assert (failed.state, failed.error_code) == (JobState.FAILED, "render_error")
            assert "died on this job 2 times" in failed.error
            assert (await log.final(behind.id)).state is JobState.DONE

    asyncio.run(scenario())


def test_a_hung_worker_is_replaced(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path, step_timeout_s=2.0) as (engine, log):
            job = await engine.submit(SLOW)
            await log.step(job.id, 3)
            hung = worker_pid(engine)
            os.kill(hung, signal.SIGSTOP)
            done = await log.final(job.id)
            assert (done.state, done.attempts) == (JobState.DONE, 2)
            assert worker_pid(engine) != hung
            with pytest.raises(ProcessLookupError):
                os.kill(hung, 0)

    asyncio.run(scenario())


def test_an_idle_worker_that_dies_is_no_failed_attempt(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            os.kill(worker_pid(engine), signal.SIGKILL)
            done = await log.final((await engine.submit(QUICK)).id)
            assert (done.state, done.attempts) == (JobState.DONE, 1)

    asyncio.run(scenario())


def test_cancelling_a_job_whose_worker_dies_cancels_it(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            job = await engine.submit(ENDLESS)
            await log.step(job.id, 3)
            os.kill(worker_pid(engine), signal.SIGSTOP)
            await engine.cancel(job.id)
            os.kill(worker_pid(engine), signal.SIGKILL)
            assert (await log.final(job.id)).state is JobState.CANCELLED

    asyncio.run(scenario())
