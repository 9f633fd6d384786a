"""Clips and recipes that name what is no sound cost their own job an error, nobody else time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from engine_log import running_engine

from server.audio.waveform import Waveform
from server.jobs.job import JobState
from server.render.pipeline import Pipeline
from server.requests.request import (
    AnyRequest,
    Continue,
    Inpaint,
    TextToAudio,
    Transfer,
    Upscale,
    Vary,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.name != "posix", reason="these files are POSIX's"),
]

SHORT = TextToAudio(prompt="low", seed=1, num_inference_steps=2, audio_length_in_s=0.5)


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.wav")
    return folder / "pipe.wav"


def sparse(folder: Path) -> Path:
    path = folder / "sparse.wav"
    soundfile.write(path, np.zeros(800), 8000)
    os.truncate(path, 5 * 2**30)
    return path


def bomb(folder: Path) -> Path:
    """A quarter of an hour of eight channels in a few hundred kilobytes."""
    path = folder / "bomb.flac"
    with soundfile.SoundFile(path, "w", 8000, 8, "PCM_16", format="FLAC") as file:
        for _ in range(90):
            file.write(np.zeros((80_000, 8), np.float32))
    return path


FILES: dict[str, Callable[[Path], Path]] = {
    "fifo": fifo,
    "sparse": sparse,
    "stdin": lambda folder: Path("/dev/stdin"),
    "zero": lambda folder: Path("/dev/zero"),
}


def requests(path: str, pipeline: Pipeline, folder: Path) -> list[AnyRequest]:
    """Of every kind that reads a file, and recipes that name one."""
    (take,) = pipeline.render(SHORT)
    recipe = msgspec.to_builtins(take.recipe)
    recipe["request"] = {"kind": "transfer", "prompt": "a", "clip": path, "num_inference_steps": 2}
    recipe["clips"] = {path: "0" * 64}
    carrier = folder / "carrier.wav"
    sound = Waveform(np.full((800, 1), 0.1, np.float32), 8000)
    carrier.write_bytes(sound.encode("wav16", msgspec.json.encode(recipe).decode()))
    return [
        Transfer(prompt="a", clip=path),
        Inpaint(prompt="a", clip=path, regions="0:1"),
        Continue(prompt="a", clip=path),
        Upscale(clip=path),
        Vary(clip=path),
        Vary(clip="x", recipe=recipe),
        Vary(clip=str(carrier)),
        msgspec.structs.replace(SHORT, audio_prompt=path),
    ]


@pytest.mark.parametrize("kind", FILES)
def test_a_strange_file_costs_its_own_job(
    tiny_pipeline: Pipeline, tiny_folder: Path, tmp_path: Path, kind: str
) -> None:
    path = str(FILES[kind](tmp_path))
    asked = requests(path, tiny_pipeline, tmp_path)

    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path / "takes") as (engine, log):
            await log.final((await engine.submit(SHORT)).id)
            begun_s = time.monotonic()
            jobs = [await engine.submit(request, owner="a") for request in asked]
            mine = await log.final((await engine.submit(SHORT, owner="b")).id)
            assert mine.state is JobState.DONE
            assert time.monotonic() - begun_s < 10
            for job in jobs:
                done = await log.final(job.id)
                assert done.state is JobState.FAILED, job.request
                assert done.error_code in ("unreadable_audio", "too_large", "bad_request")
            assert engine.status().restarts == 0
            assert time.monotonic() - begun_s < 20

    asyncio.run(scenario())


def test_a_small_file_of_many_channels_holds_nobody_up(tiny_folder: Path, tmp_path: Path) -> None:
    request = Upscale(clip=str(bomb(tmp_path)), seed=1, num_inference_steps=1, priority="bulk")

    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path / "takes") as (engine, log):
            await log.final((await engine.submit(SHORT)).id)
            job = await engine.submit(request, owner="a")
            await log.until(lambda: engine.job(job.id).state is not JobState.QUEUED)
            for _ in range(3):
                begun_s = time.monotonic()
                mine = await log.final((await engine.submit(SHORT, owner="b")).id)
                assert mine.state is JobState.DONE, mine.error
                assert time.monotonic() - begun_s < 5
            begun_s = time.monotonic()
            await engine.cancel(job.id)
            await log.final(job.id)
            assert time.monotonic() - begun_s < 5

    asyncio.run(scenario())
