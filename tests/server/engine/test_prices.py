"""A job has a price: limits by estimated seconds, and no live lane for those who ask for length."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_log import EngineLog, running_engine

from server.audio.waveform import Waveform
from server.engine.effort import effort_of
from server.errors import AudioLDMError, QueueFull, TooLarge
from server.jobs.acceptance import Limits
from server.jobs.job import Job, JobState
from server.jobs.journal import Journal
from server.jobs.storage import PROMISED
from server.model.manifest import Manifest
from server.render.pipeline import Pipeline
from server.requests.request import (
    AnyRequest,
    Continue,
    Delivery,
    Inpaint,
    Morph,
    TextToAudio,
    Transfer,
    Upscale,
    Vary,
)
from server.requests.resolved import resolve

pytestmark = pytest.mark.integration

SHORT = TextToAudio(prompt="low", seed=1, num_inference_steps=2, audio_length_in_s=0.5)
LONG = TextToAudio(prompt="low", seed=1, num_inference_steps=1000, audio_length_in_s=600.0)


def clip(path: Path, seconds: float, channels: int = 2) -> str:
    noise = np.random.default_rng(1).normal(0, 0.1, (round(seconds * 8000), channels))
    path.write_bytes(Waveform(noise.astype(np.float32), 8000).encode("wav16"))
    return str(path)


def long_jobs(folder: Path, pipeline: Pipeline) -> dict[str, AnyRequest]:
    """Of every kind, each live by its request and long in its own way."""
    long, short = clip(folder / "long.wav", 600.0), clip(folder / "short.wav", 1.0)
    (take,) = pipeline.render(SHORT)
    recipe = msgspec.to_builtins(take.recipe)
    recipe["request"] |= {"audio_length_in_s": 600.0, "num_inference_steps": 200}
    varied = folder / "varied.wav"
    sound = Waveform(np.ones((800, 1), np.float32) * 0.1, 8000)
    varied.write_bytes(sound.encode("wav16", msgspec.json.encode(recipe).decode()))
    steps = {"num_inference_steps": 200, "seed": 1}
    return {
        "text": TextToAudio(prompt="a", audio_length_in_s=600.0, **steps),  # type: ignore[arg-type]
        "bars": TextToAudio(prompt="a", bars=64, bpm=30.0, **steps),  # type: ignore[arg-type]
        "morph": Morph(prompt="a > b", audio_length_in_s=600.0, **steps),  # type: ignore[arg-type]
        "transfer": Transfer(prompt="a", clip=long, **steps),  # type: ignore[arg-type]
        "inpaint": Inpaint(prompt="a", clip=long, regions="1:500", **steps),  # type: ignore[arg-type]
        "continue": Continue(prompt="a", clip=short, audio_length_in_s=600.0, **steps),  # type: ignore[arg-type]
        "upscale": Upscale(clip=long, **steps),  # type: ignore[arg-type]
        "vary a file": Vary(clip=str(varied), seed=1),
        "vary a recipe": Vary(clip="x.wav", recipe=recipe, seed=1),
        "vary what is no take": Vary(clip=clip(folder / "no take.wav", 600.0, 8), seed=1),
        "vary with steps": Vary(clip=str(varied), num_inference_steps=1000, seed=1),
    }


async def accepted(engine: Any, request: AnyRequest, owner: str = "") -> Job:
    return await engine.submit(request, owner=owner)  # type: ignore[no-any-return]


def test_a_job_of_any_kind_that_is_long_becomes_bulk_or_is_refused(
    tiny_pipeline: Pipeline, tiny_folder: Path, tmp_path: Path
) -> None:
    requests = long_jobs(tmp_path, tiny_pipeline)

    async def scenario(limits: Limits) -> dict[str, Job | AudioLDMError]:
        found: dict[str, Job | AudioLDMError] = {}
        async with running_engine(tiny_folder, tmp_path, limits=limits) as (engine, _):
            for kind, request in requests.items():
                try:
                    job = await engine.submit(request, owner=kind)
                except AudioLDMError as error:
                    found[kind] = error
                else:
                    found[kind] = engine.job(job.id)
                    await engine.cancel(job.id)
        return found

    tight = 0.002
    became = asyncio.run(scenario(Limits(max_live_s=tight)))
    assert {kind: isinstance(job, Job) and job.live for kind, job in became.items()} == (
        dict.fromkeys(requests, False)
    )
    for job in became.values():
        assert isinstance(job, Job)
        assert job.request.live, "it is shown as it was asked for"
        assert "bulk" in job.bulk_because
    refused = asyncio.run(scenario(Limits(max_job_s=tight)))
    assert {kind: type(error) for kind, error in refused.items()} == (
        dict.fromkeys(requests, TooLarge)
    )


def test_a_live_job_does_not_wait_for_a_long_one_that_asked_to_be_live(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        limits = Limits(max_live_s=2.0)
        async with running_engine(tiny_folder, tmp_path, limits=limits) as (engine, log):
            first = await engine.submit(LONG, owner="a")
            await log.step(first.id)
            begun_s = time.monotonic()
            mine = await log.final((await engine.submit(SHORT, owner="b")).id)
            assert mine.state is JobState.DONE
            assert time.monotonic() - begun_s < 5.0
            assert not engine.job(first.id).state.final
            again = await engine.submit(LONG, owner="a", request_id="x")
            assert (await engine.submit(LONG, owner="a", request_id="x")).id == again.id

    asyncio.run(scenario())


def test_an_owner_may_owe_so_much_and_others_are_not_concerned(
    tiny_folder: Path, tmp_path: Path
) -> None:
    bulk = msgspec.structs.replace(LONG, priority="bulk")

    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, _):
            one_s = engine.job((await engine.submit(bulk)).id).price_s
        assert one_s > 1.0
        limits = Limits(max_owner_s=5.5 * one_s)
        async with running_engine(tiny_folder, tmp_path, limits=limits) as (engine, log):
            results = await asyncio.gather(
                *(engine.submit(bulk, owner="a") for _ in range(40)), return_exceptions=True
            )
            jobs = [job for job in results if isinstance(job, Job)]
            refused = [error for error in results if isinstance(error, QueueFull)]
            # Two engines measure the machine at two times: their prices differ.
            assert (len(jobs) >= 1, len(jobs) + len(refused)) == (True, 40)
            assert "together" in str(refused[0])
            await engine.submit(bulk, owner="b")
            for job in jobs:
                await engine.cancel(job.id)
                await log.final(job.id)
            await engine.submit(bulk, owner="a")

    asyncio.run(scenario())


def test_prices_are_known_before_the_first_job(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            short = await engine.submit(SHORT)
            assert 0.0 < short.price_s < 1.0
            long = await engine.submit(msgspec.structs.replace(LONG, priority="bulk"))
            assert long.price_s > 100 * short.price_s
            await log.final(short.id)

    asyncio.run(scenario())


def test_a_restart_prices_again(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        for _ in range(2):
            options: dict[str, Any] = {
                "journal": Journal(tmp_path / "j"), "limits": Limits(max_live_s=2.0)
            }  # fmt: skip
            async with running_engine(tiny_folder, tmp_path, **options) as (engine, log):
                job = await engine.submit(LONG, owner="a", request_id="1")
                assert not engine.job(job.id).live
                await log.step(job.id)

    asyncio.run(scenario())


def test_owners_share_by_cost(tiny_folder: Path, tmp_path: Path) -> None:
    """Of bulk work: one job of 20 for every 20 of 1."""
    long = msgspec.structs.replace(SHORT, num_inference_steps=400, priority="bulk")
    short = msgspec.structs.replace(SHORT, num_inference_steps=20, priority="bulk")

    async def scenario() -> list[str]:
        async with running_engine(tiny_folder, tmp_path, joining=False) as (engine, log):
            blocker = await engine.submit(msgspec.structs.replace(LONG, priority="bulk"))
            await log.step(blocker.id)
            jobs = [await engine.submit(long, owner="long") for _ in range(3)]
            jobs += [await engine.submit(short, owner="short") for _ in range(10)]
            waiting = sorted(map(engine.job, (job.id for job in jobs)), key=lambda j: j.position)
            return [job.owner for job in waiting]

    order = asyncio.run(scenario())
    assert order.index("long", order.index("long") + 1) >= 8


def test_what_a_take_needs_on_the_disk_is_known_and_set_aside(
    tiny_folder: Path, tmp_path: Path
) -> None:
    manifest = Manifest.load(tiny_folder)
    sound = clip(tmp_path / "clip.wav", 10.0)
    exact = Delivery(sample_rate=96000, channels=2, file_format="wav64f")

    def needed(request: AnyRequest) -> int:
        return asyncio.run(effort_of(resolve(request, manifest), manifest)).take_bytes

    text = TextToAudio(prompt="a", audio_length_in_s=10.0, num_waveforms_per_prompt=3)
    assert needed(text) == pytest.approx(3 * 10 * 48000 * 2 * 3, rel=0.1)
    precise = msgspec.structs.replace(text, delivery=exact)
    assert needed(precise) == pytest.approx(3 * 10 * 96000 * 2 * 8, rel=0.1)
    edited = Inpaint(prompt="a", clip=sound, regions="1:2")
    assert needed(edited) == pytest.approx(10 * 8000 * 2 * 4, rel=0.2)

    async def scenario() -> None:
        device = tmp_path.stat().st_dev
        before = PROMISED.on(device)
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            job = await engine.submit(text)
            assert PROMISED.on(device) - before == pytest.approx(3 * 10 * 48000 * 6, rel=0.1)
            await log.final(job.id)
            assert PROMISED.on(device) == before

    asyncio.run(scenario())


def long_piece(folder: Path, tiny_folder: Path) -> Upscale:
    """Minutes of sound that are encoded before the first step."""
    return Upscale(
        clip=clip(folder / "long.wav", 600.0), seed=1, num_inference_steps=1, priority="bulk"
    )


async def planning(log: EngineLog, engine: Any, job: Job) -> None:
    await log.until(lambda: engine.job(job.id).state is JobState.RUNNING)


def test_a_job_is_cancelled_and_gives_way_in_the_middle_of_a_long_piece(
    tiny_folder: Path, tmp_path: Path
) -> None:
    request = long_piece(tmp_path, tiny_folder)

    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            await log.final((await engine.submit(SHORT)).id)
            job = await engine.submit(request)
            await planning(log, engine, job)
            begun_s = time.monotonic()
            live = await log.final((await engine.submit(SHORT, owner="b")).id)
            assert live.state is JobState.DONE, live.error
            waited_s = time.monotonic() - begun_s
            await engine.cancel(job.id)
            done = await log.final(job.id)
            assert done.state is JobState.CANCELLED, done.error
            assert time.monotonic() - begun_s < 5.0
            assert waited_s < 4.0
            assert log.states(job.id)[-2:] == ["running", "cancelled"]

    asyncio.run(scenario())
