"""Previews of the first take while it renders; they leave the take unchanged."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_log import ENDLESS, EngineLog, running_engine
from server_run import ENDLESS as ENDLESS_JSON
from server_run import running_server
from sounds import familiar, write
from websockets.asyncio.client import connect

from server.audio.waveform import Waveform
from server.jobs.job import Job, Preview
from server.jobs.storage import preview_path, remove_parts
from server.remote.remote_engine import RemoteEngine
from server.render.denoise import finished
from server.render.pipeline import Pipeline
from server.render.recipe import Recipe
from server.render.take import Take
from server.requests.request import AnyRequest, Inpaint, TextToAudio, Transfer, Vary
from server.requests.resolved import resolve

pytestmark = pytest.mark.integration

HUM = TextToAudio(prompt="low hum", seed=7, num_inference_steps=12, audio_length_in_s=1.0)
HEARD = msgspec.structs.replace(HUM, previews=3)
ENDLESS_WITH_PREVIEWS = msgspec.structs.replace(ENDLESS, previews=8)


def rendered(
    pipeline: Pipeline, request: AnyRequest
) -> tuple[list[Take], list[int], list[Waveform]]:
    """The takes, the steps of the previews, and how they sound."""
    steps: list[int] = []
    sounds: list[Waveform] = []

    def on_preview(step: int, sound: Waveform) -> None:
        steps.append(step)
        sounds.append(sound)

    resolved = resolve(request, pipeline.manifest)
    work = pipeline.rendering(resolved, lambda done, total: None, on_preview)
    return finished(work, pipeline.unet), steps, sounds


def distance_db(a: Waveform, b: Waveform) -> float:
    """Log-spectral distance: rms over time and frequency of the difference in level."""

    def levels(sound: Waveform) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        frames = np.lib.stride_tricks.sliding_window_view(sound.downmix(), 1024)[::512]
        power = np.abs(np.fft.rfft(frames * np.hanning(1024))) ** 2
        return 10.0 * np.log10(power + 1e-6)

    return float(np.sqrt(np.mean((levels(a) - levels(b)) ** 2)))


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "unipc"])
def test_previews_come_in_order_and_become_the_take(tiny_pipeline: Pipeline, sampler: str) -> None:
    request = msgspec.structs.replace(HEARD, sampler=sampler)
    (take,), steps, sounds = rendered(tiny_pipeline, request)
    assert steps == [3, 6, 9]
    assert {(s.sample_rate, s.frames, s.channels) for s in sounds} == {(48000, 48000, 1)}
    far, nearer, near = (distance_db(sound, take.waveform) for sound in sounds)
    assert far > nearer > near > 0.0


def test_a_take_is_the_same_with_and_without_previews(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    clip = write(tmp_path / "clip.wav", familiar(tiny_pipeline, 1.0))
    take = tmp_path / "take.wav"
    take.write_bytes(tiny_pipeline.render(HUM)[0].encode())
    requests: list[AnyRequest] = [
        HUM,
        msgspec.structs.replace(HUM, num_waveforms_per_prompt=40),
        msgspec.structs.replace(HUM, loop=True, width=0.5, eta=0.5, sampler="ddim"),
        Inpaint(prompt="high", clip=clip, regions="0.3:0.6", seed=3, num_inference_steps=6),
        Transfer(prompt="high hiss", clip=clip, seed=3, num_inference_steps=9),
        Vary(clip=str(take), seed=3),
    ]
    for request in requests:
        plain, never, _ = rendered(tiny_pipeline, request)
        takes, steps, _ = rendered(tiny_pipeline, msgspec.structs.replace(request, previews=2))
        assert not never
        assert len(steps) == 2, request
        assert [take.encode() for take in takes] == [take.encode() for take in plain]


def test_the_preview_of_an_edit_is_the_whole_clip(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    clip = write(tmp_path / "clip.wav", familiar(tiny_pipeline, 1.0))
    request = Inpaint(prompt="high", clip=clip, regions="0.4:0.6", seed=3, previews=1)
    (take,), _, (sound,) = rendered(tiny_pipeline, request)
    changed = np.flatnonzero((sound.samples != Waveform.read(Path(clip)).samples).any(axis=1))
    assert 0.0 < changed[0] / 16000 < changed[-1] / 16000 < 1.0
    assert take.waveform.frames == sound.frames


def test_a_preview_that_fails_costs_nothing(tiny_pipeline: Pipeline) -> None:
    def on_preview(step: int, sound: Waveform) -> None:
        raise MemoryError

    resolved = resolve(HEARD, tiny_pipeline.manifest)
    work = tiny_pipeline.rendering(resolved, lambda done, total: None, on_preview)
    (take,) = finished(work, tiny_pipeline.unet)
    assert take.encode() == tiny_pipeline.render(HUM)[0].encode()


def previews(log: EngineLog, job_id: str) -> list[Preview]:
    """The previews of a job in the log, without repetitions."""
    seen: list[Preview] = []
    for job in log.events:
        if job.id == job_id and job.preview is not None and job.preview not in seen:
            seen.append(job.preview)
    return seen


async def previewed(log: EngineLog, job_id: str) -> Job:
    """The job when its first preview is there."""
    await log.until(lambda: bool(previews(log, job_id)))
    return next(job for job in log.events if job.id == job_id and job.preview is not None)


def test_an_engine_reports_previews_and_deletes_them(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path / "takes") as (engine, log):
            plain = await log.final((await engine.submit(HUM)).id)
            assert not previews(log, plain.id)
            assert [path.name for path in (tmp_path / "takes").iterdir()] == [
                plain.takes[0].path.name
            ]
            job = await log.final((await engine.submit(HEARD, folder=tmp_path / "song")).id)
            path = preview_path(tmp_path / "takes", job.id)
            assert previews(log, job.id) == [Preview(step, path) for step in (3, 6, 9)]
            assert job.preview is None
            assert not path.exists()
            assert job.takes[0].path.read_bytes() == plain.takes[0].path.read_bytes()
            recipe = Recipe.read(job.takes[0].path)
            assert msgspec.to_builtins(recipe.request) == msgspec.to_builtins(plain.request)

    asyncio.run(scenario())


def test_a_cancelled_job_a_lost_worker_and_an_end_leave_no_preview(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, log):
            job = await previewed(log, (await engine.submit(ENDLESS_WITH_PREVIEWS)).id)
            assert job.preview is not None
            assert Waveform.read(job.preview.path).seconds == pytest.approx(5.0)
            await engine.cancel(job.id)
            assert (await log.final(job.id)).preview is None
            assert not list((tmp_path / ".previews").iterdir())

            job = await previewed(log, (await engine.submit(ENDLESS_WITH_PREVIEWS)).id)
            os.kill(int(engine.status().details["worker_pid"]), 9)
            await log.until(lambda: engine.job(job.id).preview is None)
            seen = len(log.events)
            await log.until(lambda: any(j.preview is not None for j in log.events[seen:]))
        assert engine.job(job.id).preview is None
        assert not list((tmp_path / ".previews").iterdir())

    asyncio.run(scenario())


def test_what_an_earlier_run_left_is_swept(tmp_path: Path) -> None:
    old, new = preview_path(tmp_path, "old"), preview_path(tmp_path, "new")
    old.parent.mkdir()
    for path in (old, new):
        path.write_bytes(b"RIFF")
    os.utime(old, (1e9, 1e9))
    assert remove_parts(tmp_path) == 1
    assert (old.exists(), new.exists()) == (False, True)


async def next_preview(lines: AsyncIterator[str]) -> dict[str, Any]:
    """The next preview in a stream of events."""
    async for line in lines:
        if line == "event: preview":
            data = await anext(lines)
            return dict(json.loads(data.removeprefix("data: "))["job"]["preview"])
    raise AssertionError("the events ended")


def test_previews_over_http(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            job = await server.submit({**ENDLESS_JSON, "previews": 8})
            url = f"/v1/jobs/{job['id']}/preview"
            async with server.http.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
                lines = events.aiter_lines()
                first, second = await next_preview(lines), await next_preview(lines)
            async with connect(server.url.replace("http", "ws") + "/v1/events") as websocket:
                while (event := json.loads(await websocket.recv()))["event"] != "preview":
                    pass
                assert event["job"]["preview"]["url"] == url
            assert first["url"] == url
            assert 0 < first["step"] < second["step"] < 1000
            sound = await server.http.get(url)
            assert sound.headers["content-type"] == "audio/wav"
            assert Waveform.read(sound.content).seconds == pytest.approx(5.0)
            await server.http.delete(f"/v1/jobs/{job['id']}")
            await server.log.final(job["id"])
            for gone in (url, "/v1/jobs/nope/preview"):
                assert (await server.http.get(gone)).status_code == 404
            assert (await server.http.get(f"/v1/jobs/{job['id']}")).json()["preview"] is None

    asyncio.run(scenario())


def test_a_remote_engine_brings_previews_here(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path / "there") as server:
            engine = RemoteEngine(server.url, tmp_path / "here")
            log = EngineLog(engine)
            try:
                await engine.start()
                job = await previewed(log, (await engine.submit(ENDLESS_WITH_PREVIEWS)).id)
                assert job.preview is not None
                assert job.preview.path == preview_path(tmp_path / "here", job.id)
                assert Waveform.read(job.preview.path).seconds == pytest.approx(5.0)
                await engine.cancel(job.id)
                assert (await log.final(job.id)).preview is None
            finally:
                await engine.close()
            assert not list((tmp_path / "here" / ".previews").glob("*.wav"))

    asyncio.run(scenario())
