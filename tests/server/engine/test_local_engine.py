"""The local engine: nothing is lost, whatever happens to its worker."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import msgspec
import pytest
from engine_log import ENDLESS, SLOW, EngineLog, running_engine

from server.engine.local import LocalEngine
from server.errors import Conflict, EngineUnavailable, InvalidRequest, ModelError, QueueFull
from server.jobs.job import Job, JobState
from server.render.recipe import Recipe
from server.requests.request import TextToAudio

pytestmark = pytest.mark.integration

QUICK = TextToAudio(prompt="low hum", seed=7, num_inference_steps=3, audio_length_in_s=0.5)


def other(seed: int, request: TextToAudio = QUICK) -> TextToAudio:
    return TextToAudio(
        prompt=request.prompt,
        seed=seed,
        num_inference_steps=request.num_inference_steps,
        audio_length_in_s=0.5,
    )


def worker_pid(engine: LocalEngine) -> int:
    return int(engine.status().details["worker_pid"])


def test_a_job_is_queued_runs_step_by_step_and_is_done(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            assert engine.status().state == "ready"
            assert engine.status().providers == ("CPUExecutionProvider",)
            job = await engine.submit(QUICK, owner="me")
            assert (job.state, job.position) == (JobState.QUEUED, 0)
            done = await log.final(job.id)
            assert log.states(job.id) == ["queued", "running", "done"]
            assert log.steps(job.id) == [0, 1, 2, 3]
            assert engine.jobs() == [done]
            (take,) = done.takes
            assert take.path.parent == tmp_path
            assert (take.sample_rate, take.frames, take.seed) == (48000, 24000, 7)
            recipe = msgspec.to_builtins(Recipe.read(take.path).request)
            assert recipe == msgspec.to_builtins(job.request)
            assert done.created_s <= done.started_s <= done.finished_s

    asyncio.run(scenario())


def test_jobs_run_in_order_and_know_their_position(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            jobs = [await engine.submit(other(seed)) for seed in range(4)]
            for job in jobs:
                await log.final(job.id)
            done = [job.id for job in log.events if job.state is JobState.DONE]
            assert done == [job.id for job in jobs]
            last = [job.position for job in log.events if job.id == jobs[-1].id]
            assert last == sorted(last, reverse=True)
            assert last[0] >= 2
            assert last[-1] == 0

    asyncio.run(scenario())


def test_a_live_take_goes_past_bulk_work_which_then_goes_on(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            bulk = await engine.submit(msgspec.structs.replace(ENDLESS, priority="bulk"))
            behind = await engine.submit(msgspec.structs.replace(QUICK, priority="bulk"))
            before = await log.step(bulk.id)
            live = await log.final((await engine.submit(QUICK)).id)
            assert live.state is JobState.DONE
            await log.step(bulk.id, before.step + 1)
            assert log.states(bulk.id) == ["queued", "running"]
            assert log.states(behind.id) == ["queued"]
            assert engine.status().running == 1
            await engine.cancel(bulk.id)
            assert (await log.final(behind.id)).state is JobState.DONE
            alone = await log.final((await engine.submit(QUICK)).id)
            assert live.takes[0].path.read_bytes() == alone.takes[0].path.read_bytes()
            assert len(live.takes[0].embedding) == 2 * engine.manifest.embedding_dim

    asyncio.run(scenario())


def test_several_takes_of_one_job(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            request = TextToAudio(
                prompt="low", seed=5, audio_length_in_s=0.5, num_waveforms_per_prompt=3
            )
            job = await log.final((await engine.submit(request, folder=tmp_path / "a" / "b")).id)
            # The one that fits the prompt best comes first.
            assert sorted(take.seed for take in job.takes) == [5, 6, 7]
            assert len({take.path.read_bytes() for take in job.takes}) == 3
            files = sorted(path for path in (tmp_path / "a" / "b").iterdir())
            assert files == sorted(take.path for take in job.takes)

    asyncio.run(scenario())


def test_a_repeated_request_id_gives_the_same_job(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            open_seed = TextToAudio(prompt="low", num_inference_steps=2, audio_length_in_s=0.5)
            pair = await asyncio.gather(
                *(engine.submit(open_seed, owner="a", request_id="1") for _ in range(2))
            )
            assert pair[0].id == pair[1].id
            await log.final(pair[0].id)
            again = await engine.submit(open_seed, owner="a", request_id="1")
            assert (again.id, again.state) == (pair[0].id, JobState.DONE)
            foreign = await engine.submit(open_seed, owner="b", request_id="1")
            assert foreign.id != again.id
            for contradiction in (other(1), TextToAudio(prompt="low", seed=4)):
                with pytest.raises(Conflict, match="was used before"):
                    await engine.submit(contradiction, owner="a", request_id="1")

    asyncio.run(scenario())


def test_a_queued_job_is_cancelled_at_once(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            first = await engine.submit(ENDLESS)
            second = await engine.submit(QUICK)
            third = await engine.submit(other(8))
            await log.step(first.id)
            assert (await engine.cancel(second.id)).state is JobState.CANCELLED
            assert engine.job(third.id).position == 1
            await engine.cancel(first.id)
            assert (await log.final(third.id)).state is JobState.DONE
            assert log.states(second.id) == ["queued", "cancelled"]
            assert (await engine.cancel(second.id)).state is JobState.CANCELLED

    asyncio.run(scenario())


def test_a_running_job_stops_at_its_next_step(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            job = await engine.submit(ENDLESS)
            await log.step(job.id, 3)
            await engine.cancel(job.id)
            cancelled = await log.final(job.id)
            assert cancelled.state is JobState.CANCELLED
            assert cancelled.step < 1000
            assert (cancelled.error, cancelled.takes) == ("", ())
            assert list(tmp_path.iterdir()) == []
            assert (await log.final((await engine.submit(QUICK)).id)).state is JobState.DONE
            assert engine.status().restarts == 0

    asyncio.run(scenario())


def test_a_full_queue_refuses_and_keeps_what_it_has(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path, max_queued=2) as (engine, log):
            running = await engine.submit(ENDLESS)
            await log.step(running.id)
            waiting = [await engine.submit(other(seed)) for seed in (1, 2)]
            with pytest.raises(QueueFull, match="2 jobs are waiting"):
                await engine.submit(QUICK)
            await engine.cancel(running.id)
            for job in waiting:
                assert (await log.final(job.id)).state is JobState.DONE

    asyncio.run(scenario())


def test_a_bad_request_is_refused_before_it_is_a_job(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            with pytest.raises(InvalidRequest, match="prompt"):
                await engine.submit(TextToAudio(prompt=" "))
            assert (engine.jobs(), log.events) == ([], [])

    asyncio.run(scenario())


def test_a_folder_that_cannot_be_written_fails_the_job_alone(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            folder = tmp_path / "folder"
            job = await engine.submit(SLOW, folder=folder)
            await log.step(job.id)
            folder.write_text("in the way")
            job = await log.final(job.id)
            assert (job.state, job.error_code) == (JobState.FAILED, "storage_full")
            assert "cannot be written" in job.error
            assert (await log.final((await engine.submit(QUICK)).id)).state is JobState.DONE

    asyncio.run(scenario())


def test_a_model_that_cannot_load_says_why(tiny_folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    size = (broken / "unet.onnx").stat().st_size
    (broken / "unet.onnx").write_bytes(b"\0" * size)

    async def scenario() -> None:
        engine = LocalEngine(broken, tmp_path, device="cpu", threads=1)
        with pytest.raises(ModelError, match=r"unet\.onnx"):
            await engine.start()
        assert engine.status().state == "down"

    asyncio.run(scenario())
    with pytest.raises(ModelError, match=r"manifest\.json"):
        LocalEngine(tmp_path / "nowhere", tmp_path)


def test_closing_fails_what_is_open(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        events: list[Job] = []
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            engine.listen(events.append)
            running, waiting = await engine.submit(ENDLESS), await engine.submit(QUICK)
            await log.step(running.id)
            pid = worker_pid(engine)
        assert engine.status().state == "down"
        for job in (running, waiting):
            assert engine.job(job.id).state is JobState.FAILED
            assert engine.job(job.id).error_code == "unavailable"
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        with pytest.raises(EngineUnavailable):
            await engine.submit(QUICK)

    asyncio.run(scenario())


def test_a_listener_that_fails_harms_nobody(tiny_folder: Path, tmp_path: Path) -> None:
    def broken(job: Job) -> None:
        raise RuntimeError(job.id)

    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, _):
            engine.listen(broken)
            after = EngineLog(engine)
            job = await after.final((await engine.submit(QUICK)).id)
            assert after.states(job.id) == ["queued", "running", "done"]
            after.unlisten()
            await engine.submit(other(9))
            assert {event.id for event in after.events} == {job.id}

    asyncio.run(scenario())
