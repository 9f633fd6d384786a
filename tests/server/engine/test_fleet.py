"""Several models behind one engine: each job finds its model, and memory stays in bounds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_log import ENDLESS
from fleet_run import make_models, room_for, running_fleet

from server.engine import loader as fleet_loader
from server.errors import Conflict, EngineUnavailable, ModelError, NotFound, QueueFull, TooLarge
from server.jobs.job import Job, JobState
from server.jobs.journal import Journal
from server.model.manifest import Manifest
from server.render.recipe import Recipe
from server.requests.request import TextToAudio, Vary

pytestmark = pytest.mark.integration

QUICK = TextToAudio(prompt="low hum", seed=7, num_inference_steps=3, audio_length_in_s=0.5)


def on(model: str, request: TextToAudio = QUICK, **changes: Any) -> TextToAudio:
    return msgspec.structs.replace(request, model=model, **changes)


@pytest.fixture
def folders(tiny_folder: Path, tmp_path: Path) -> list[Path]:
    return make_models(tiny_folder, tmp_path / "models")


def model_of(job: Job) -> str:
    (take,) = job.takes
    return Recipe.read(take.path).model


def test_a_job_goes_to_the_model_that_it_names(folders: list[Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_fleet(folders, tmp_path / "takes") as (fleet, log, models):
            states = {i.name: (i.state, i.default) for i in fleet.models()}
            unloaded = ("unloaded", False)
            assert states == {"one": ("loaded", True), "two": unloaded, "three": unloaded}
            plain = await fleet.submit(QUICK)
            other = await fleet.submit(on("two"))
            assert (other.state, other.request.model) == (JobState.QUEUED, "two")
            assert model_of(await log.final(plain.id)) == "one"
            assert model_of(await log.final(other.id)) == "two"
            assert log.states(other.id) == ["queued", "running", "done"]
            assert models.states("two") == ["waiting", "loading", "loaded"]
            by_digest = await fleet.submit(on(Manifest.load(folders[1]).digest, seed=8))
            assert model_of(await log.final(by_digest.id)) == "two"
            with pytest.raises(NotFound, match="no model 'four'; there are one, two, three"):
                await fleet.submit(on("four"))
            assert {job.id for job in fleet.jobs()} == {plain.id, other.id, by_digest.id}

    asyncio.run(scenario())


def test_the_least_recently_used_idle_model_makes_room(folders: list[Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        budget = room_for(2.5, folders[0])
        async with running_fleet(folders, tmp_path, budget_bytes=budget) as (fleet, log, _):
            await log.final((await fleet.submit(on("two"))).id)
            await log.final((await fleet.submit(on("one"))).id)
            await log.final((await fleet.submit(on("three"))).id)
            states = {info.name: info.state for info in fleet.models()}
            assert states == {"one": "loaded", "two": "unloaded", "three": "loaded"}
            assert fleet.memory[0] == room_for(2, folders[0]) <= fleet.memory[1] == budget

    asyncio.run(scenario())


def test_a_model_that_cannot_fit_is_refused_with_both_sizes(
    folders: list[Path], tmp_path: Path
) -> None:
    larger = msgspec.structs.replace(Manifest.load(folders[1]), precision="int8-weights")
    larger.save(folders[1])

    async def scenario() -> None:
        budget = room_for(1, folders[0])
        async with running_fleet(folders, tmp_path, budget_bytes=budget) as (fleet, log, _):
            sentence = "'two' needs about 193 MiB of memory, and models may take 192 MiB"
            with pytest.raises(TooLarge, match=sentence):
                await fleet.submit(on("two"))
            with pytest.raises(TooLarge, match="--memory"):
                await fleet.load_model("two")
            assert (await log.final((await fleet.submit(QUICK)).id)).state is JobState.DONE

    asyncio.run(scenario())


def test_a_model_waits_while_another_renders_and_then_takes_its_room(
    folders: list[Path], tmp_path: Path
) -> None:
    async def scenario() -> None:
        budget = room_for(1.5, folders[0])
        async with running_fleet(folders, tmp_path, budget_bytes=budget) as (fleet, log, models):
            running = await fleet.submit(ENDLESS)
            await log.step(running.id)
            waiting = [await fleet.submit(on("two", seed=seed)) for seed in (1, 2)]
            assert [job.position for job in waiting] == [0, 1]
            await models.until("two", "waiting")
            assert fleet.status().queued == 2
            with pytest.raises(Conflict, match="1 unfinished"):
                await fleet.unload_model("one")
            assert (await fleet.cancel(waiting[0].id)).state is JobState.CANCELLED
            await fleet.cancel(running.id)
            assert model_of(await log.final(waiting[1].id)) == "two"
            assert models.states("one")[-2:] == ["unloading", "unloaded"]
            assert log.states(waiting[0].id) == ["queued", "cancelled"]

    asyncio.run(scenario())


def test_a_busy_model_gives_way_after_a_while_and_loses_no_job(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_loader, "PATIENCE_S", 0.0)

    async def scenario() -> None:
        budget = room_for(1.5, folders[0])
        async with running_fleet(folders, tmp_path, budget_bytes=budget) as (fleet, log, models):
            first = await fleet.submit(on("one", ENDLESS))
            behind = await fleet.submit(on("one", seed=3))
            await log.step(first.id)
            other = await fleet.submit(on("two"))
            await models.until("one", "unloading")
            await fleet.cancel(first.id)  # the draining engine finishes what it renders
            assert model_of(await log.final(other.id)) == "two"
            assert model_of(await log.final(behind.id)) == "one"
            ended = [job.id for job in log.events if job.state is JobState.DONE]
            assert ended == [other.id, behind.id]

    asyncio.run(scenario())


def test_loading_and_unloading_by_hand(folders: list[Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_fleet(folders, tmp_path) as (fleet, log, models):
            assert (await fleet.load_model("two")).state == "waiting"
            loaded = await models.until("two", "loaded")
            assert loaded.load_s > 0
            assert loaded.providers == ("CPUExecutionProvider",)
            assert (await fleet.load_model("two")).state == "loaded"
            assert (await fleet.unload_model("two")).state == "unloaded"
            assert (await fleet.unload_model("one")).state == "unloaded"
            assert fleet.memory[0] == 0
            assert fleet.status().state == "ready"
            assert (await log.final((await fleet.submit(QUICK)).id)).state is JobState.DONE
            with pytest.raises(NotFound):
                await fleet.load_model("four")

    asyncio.run(scenario())


def test_a_broken_model_fails_its_jobs_alone(folders: list[Path], tmp_path: Path) -> None:
    unet = folders[1] / "unet.onnx"
    unet.write_bytes(b"\0" * unet.stat().st_size)

    async def scenario() -> None:
        async with running_fleet(folders, tmp_path) as (fleet, log, models):
            failed = await log.final((await fleet.submit(on("two"))).id)
            assert (failed.state, failed.error_code) == (JobState.FAILED, "model_error")
            assert "unet.onnx" in failed.error
            assert "unet.onnx" in (await models.until("two", "failed")).error
            assert (await log.final((await fleet.submit(QUICK)).id)).state is JobState.DONE
        with pytest.raises(ModelError, match=r"unet\.onnx"):
            async with running_fleet(folders[1:], tmp_path):
                pass

    asyncio.run(scenario())


def test_after_a_restart_each_job_goes_to_its_model(folders: list[Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        path, takes = tmp_path / "journal.sqlite3", tmp_path / "takes"
        async with running_fleet(folders, takes, journal=Journal(path)) as (fleet, log, _):
            endless = await fleet.submit(ENDLESS)
            await log.step(endless.id)
            mine = await fleet.submit(on("one", seed=1), owner="a", request_id="1")
            theirs = await fleet.submit(on("two", seed=2))
            lost = await fleet.submit(on("three", seed=3))
            assert theirs.state is JobState.QUEUED
        async with running_fleet(folders[:2], takes, journal=Journal(path)) as (fleet, log, _):
            again = await fleet.submit(on("one", seed=1), owner="a", request_id="1")
            assert again.id == mine.id
            assert fleet.job(lost.id).error_code == "not_found"
            assert "'three' is not here any more" in fleet.job(lost.id).error
            await log.step(endless.id)
            await fleet.cancel(endless.id)
            assert model_of(await log.final(mine.id)) == "one"
            assert model_of(await log.final(theirs.id)) == "two"
        journal = Journal(path)
        states = {job.id: job.state for job in journal.load()}
        journal.close()
        assert states[theirs.id] is states[mine.id] is JobState.DONE

    asyncio.run(scenario())


def test_a_take_is_varied_by_the_model_that_made_it(folders: list[Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_fleet(folders, tmp_path) as (fleet, log, _):
            made = await log.final((await fleet.submit(on("two"))).id)
            take = made.takes[0].path
            again = await log.final((await fleet.submit(Vary(clip=str(take), distance=0.0))).id)
            assert again.request.model == "two"
            assert model_of(again) == "two"
            recipe = msgspec.to_builtins(Recipe.read(take))
            by_recipe = Vary(clip="gone.wav", recipe=recipe, seed=5)
            assert (await fleet.submit(by_recipe)).request.model == "two"

    asyncio.run(scenario())


def test_each_device_has_a_worker_and_jobs_go_to_the_idle_one(
    folders: list[Path], tmp_path: Path
) -> None:
    async def scenario() -> None:
        devices = ("cpu", "cpu")
        async with running_fleet(folders[:1], tmp_path, devices=devices) as (fleet, log, _):
            busy = await fleet.submit(ENDLESS)
            await log.step(busy.id)
            for seed in range(3):
                quick = await fleet.submit(on("", seed=seed))
                assert (await log.final(quick.id)).state is JobState.DONE
            assert fleet.job(busy.id).state is JobState.RUNNING
            assert fleet.status().running == 1
            await fleet.cancel(busy.id)
            assert (await log.final(busy.id)).state is JobState.CANCELLED

    asyncio.run(scenario())


def test_one_request_id_makes_one_job_wherever_it_waits(
    folders: list[Path], tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with running_fleet(folders, tmp_path, max_queued=2) as (fleet, log, _):
            twice = [fleet.submit(on("two"), owner="a", request_id="1") for _ in range(2)]
            first, second = await asyncio.gather(*twice)
            assert first.id == second.id
            await log.final(first.id)
            repeated = await fleet.submit(QUICK, owner="a", request_id="1")
            assert repeated.id == first.id  # it does not say another model
            with pytest.raises(Conflict):
                await fleet.submit(on("one"), owner="a", request_id="1")
            for seed in range(2):
                await fleet.submit(on("three", ENDLESS, seed=seed))
            with pytest.raises(QueueFull):
                await fleet.submit(on("three", seed=9))

    asyncio.run(scenario())


def test_closing_without_a_journal_fails_what_waits(folders: list[Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_fleet(folders, tmp_path) as (fleet, log, _):
            running = await fleet.submit(ENDLESS)
            await log.step(running.id)
            waiting = await fleet.submit(on("two"))
        for job in (running, waiting):
            assert fleet.job(job.id).error_code == "unavailable"
        assert fleet.status().state == "down"
        with pytest.raises(EngineUnavailable):
            await fleet.submit(QUICK)

    asyncio.run(scenario())
