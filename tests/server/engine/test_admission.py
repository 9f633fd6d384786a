"""Who may go into the worker, and what becomes of those in it when it dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_log import EngineLog

import server.engine.executor
from server.engine.admission import Admission
from server.engine.local import LocalEngine
from server.jobs.job import Job, JobState
from server.jobs.queue import JobQueue
from server.model.manifest import Manifest
from server.requests.request import TextToAudio, Transfer
from server.requests.resolved import resolve
from server.worker.protocol import Done, Failed, OnDevice, Ready
from server.worker.renderer import MemoryRenderer, Renderer

HALF = TextToAudio(prompt="low", seed=1, audio_length_in_s=0.5, guidance_scale=2.0)
LONGER = msgspec.structs.replace(HALF, audio_length_in_s=2.0)
BULK = msgspec.structs.replace(HALF, priority="bulk")
ROOM = 64
"""Latent frames a call: two guided takes of half a second, which are 16 frames long."""
READY = Ready(("CPUExecutionProvider",), ROOM)


class Line:
    """A queue and the one renderer that is fed from it."""

    def __init__(self, folder: Path, *jobs: Job) -> None:
        self.queue, self.admission = JobQueue(), Admission(Manifest.load(folder))
        self.admission.configure(READY)
        for job in jobs:
            self.queue.append(job)

    def admitted(self) -> list[str]:
        """What goes in now, in that order."""
        found = []
        while (job := self.admission.admit(self.queue)) is not None:
            found.append(job.id)
        return found

    def leave(self, job_id: str) -> None:
        self.admission.leave(job_id)
        self.queue.remove(job_id)

    def put_back(self, *jobs: Job) -> None:
        for job in reversed(jobs):
            self.admission.leave(job.id)
            self.queue.put_back(job)

    @property
    def positions(self) -> list[tuple[str, int]]:
        return list(self.queue.positions())


@pytest.fixture
def line(tiny_folder: Path) -> Callable[..., Line]:
    return partial(Line, tiny_folder)


@pytest.fixture
def job(tiny_folder: Path) -> Callable[..., Job]:
    manifest = Manifest.load(tiny_folder)

    def make(name: str, request: Any = HALF, **fields: Any) -> Job:
        return Job(id=name, request=resolve(request, manifest), owner=name[0], **fields)

    return make


def test_one_job_a_priority_goes_in_and_more_where_they_can_be_joined(
    line: Callable[..., Line], job: Callable[..., Job]
) -> None:
    jobs = line(job("a1", BULK), job("a2", BULK), job("b1"), job("a3"), job("a4"))
    assert [name for name, _ in jobs.positions] == ["b1", "a3", "a4", "a1", "a2"]
    assert jobs.admitted() == ["b1", "a3", "a1", "a2"]
    assert jobs.positions == [("a4", 4)]
    jobs.leave("b1")
    assert jobs.admitted() == ["a4"]


@pytest.mark.parametrize(
    "other",
    [
        LONGER,
        Transfer(clip="clip.wav", prompt="low"),
        msgspec.structs.replace(HALF, loop=True),
        msgspec.structs.replace(HALF, audio_length_in_s=60.0),
        msgspec.structs.replace(HALF, num_waveforms_per_prompt=2, priority="live"),
    ],
)
def test_what_cannot_be_joined_waits_outside(
    line: Callable[..., Line], job: Callable[..., Job], other: Any
) -> None:
    jobs = line(job("a1"), job("b1", other), job("c1"))
    assert jobs.admitted() == ["a1"], "nobody goes past the one who is next"
    jobs.leave("a1")
    assert jobs.admitted()[:1] == ["b1"]


def test_owners_take_turns_and_a_suspect_is_alone(
    line: Callable[..., Line], job: Callable[..., Job]
) -> None:
    jobs = line(*(job(name, LONGER) for name in ("a1", "a2", "a3", "b1")))
    order = []
    for _ in range(4):
        order += jobs.admitted()
        jobs.leave(order[-1])
    assert order == ["a1", "b1", "a2", "a3"]
    jobs = line(job("a1"), job("b1"), job("c1"))
    assert jobs.admitted() == ["a1", "b1"]
    jobs.put_back(job("a1", attempts=1), job("b1", attempts=1))
    for alone in ("a1", "b1", "c1"):
        assert jobs.admitted() == [alone]
        jobs.leave(alone)


@asynccontextmanager
async def scripted(
    folder: Path, takes: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[LocalEngine, EngineLog, list[MemoryRenderer]]]:
    """An engine whose renderers do what the test says, when it says so."""
    renderers: list[MemoryRenderer] = []

    def next_renderer() -> AbstractAsyncContextManager[Renderer]:
        renderers.append(MemoryRenderer(READY))
        return renderers[-1].running()

    monkeypatch.setattr(server.engine.executor, "_RESTART_PAUSE_S", 0.0)
    engine = LocalEngine(folder, takes, new_renderer=next_renderer)
    log = EngineLog(engine)
    await engine.start()
    try:
        yield engine, log, renderers
    finally:
        await engine.close()


async def until(true: Callable[[], bool]) -> None:
    """Let the engine go on until ``true()``; a worker's orders are no events of a log."""
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0)


def test_after_a_crash_suspects_run_alone_and_only_the_culprit_fails(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with scripted(tiny_folder, tmp_path, monkeypatch) as (engine, _, workers):
            bulk = (await engine.submit(BULK)).id
            good, bad = [(await engine.submit(HALF, owner="b")).id for _ in range(2)]
            assert workers[0].jobs == [bulk, good, bad]
            assert engine.status().running == 3
            workers[0].report(OnDevice((bulk,)), OnDevice((good, bad)), ConnectionError("killed"))
            await until(lambda: len(workers) == 2 and len(workers[1].jobs) == 2)
            assert workers[1].jobs == [good, bulk], "suspects one at a time"
            assert [engine.job(name).attempts for name in (good, bad, bulk)] == [1, 1, 0]
            workers[1].report(
                OnDevice((good,)),
                Done(good, ()),
                OnDevice((bad,)),
                OnDevice((bulk,)),
                OnDevice((bad,)),
            )
            await until(lambda: engine.job(bulk).attempts == 1)
            assert workers[1].jobs == [good, bulk, bad]
            workers[1].report(ConnectionError("killed"))
            await until(lambda: engine.job(bad).state.final)
            await until(lambda: len(workers) == 3 and workers[2].jobs == [bulk])
            assert engine.job(good).state is JobState.DONE
            assert "died on this job 2 times" in engine.job(bad).error
            assert (engine.job(bulk).state, engine.job(bulk).attempts) == (JobState.QUEUED, 0)

    asyncio.run(scenario())


def test_any_of_several_running_jobs_can_be_cancelled(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with scripted(tiny_folder, tmp_path, monkeypatch) as (engine, log, (worker,)):
            first, second = [(await engine.submit(HALF)).id for _ in range(2)]
            worker.report(OnDevice((first, second)))
            await until(lambda: engine.job(second).state is JobState.RUNNING)
            await engine.cancel(first)
            assert worker.cancelled == [first]
            worker.report(Failed(first, "cancelled", ""), Done(second, ()))
            await until(lambda: engine.job(second).state.final)
            assert log.states(first) == ["queued", "running", "cancelled"]
            assert engine.status().running == 0

    asyncio.run(scenario())
