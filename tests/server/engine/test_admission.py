"""Who may go into the worker, and what becomes of those in it when it dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_log import EngineLog

import server.engine.local
from server.engine.admission import Rota
from server.engine.local import LocalEngine
from server.jobs.job import Job, JobState
from server.model.manifest import Manifest
from server.requests.request import TextToAudio, Transfer
from server.worker.protocol import Cancel, Done, Failed, FromWorker, Ready, Render, ToWorker, Turn

HALF = TextToAudio(prompt="low", seed=1, audio_length_in_s=0.5, guidance_scale=2.0)
LONGER = msgspec.structs.replace(HALF, audio_length_in_s=2.0)
BULK = msgspec.structs.replace(HALF, priority="bulk")
ROOM = 64
"""Latent frames a call: two guided takes of half a second, which are 16 frames long."""


def rota(folder: Path, *jobs: Job) -> Rota:
    made = Rota(Manifest.load(folder))
    made.frames_a_call = ROOM
    for job in jobs:
        made.append(job)
    return made


def job(name: str, request: Any = HALF, **fields: Any) -> Job:
    return Job(id=name, request=request, owner=name[0], **fields)


def admitted(rota: Rota) -> list[str]:
    found = []
    while (one := rota.admit()) is not None:
        found.append(one.id)
    return found


def test_one_job_a_priority_goes_in_and_more_where_they_can_be_joined(tiny_folder: Path) -> None:
    lines = rota(tiny_folder, job("a1", BULK), job("a2", BULK), job("b1"), job("a3"), job("a4"))
    assert [name for name, _ in lines.positions()] == ["b1", "a3", "a4", "a1", "a2"]
    assert admitted(lines) == ["b1", "a3", "a1", "a2"]
    assert list(lines.positions()) == [("a4", 4)]
    lines.leave("b1")
    assert admitted(lines) == ["a4"]


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
def test_what_cannot_be_joined_waits_outside(tiny_folder: Path, other: Any) -> None:
    lines = rota(tiny_folder, job("a1"), job("b1", other), job("c1"))
    assert admitted(lines) == ["a1"], "nobody goes past the one who is next"
    lines.leave("a1")
    assert admitted(lines)[:1] == ["b1"]


def test_owners_take_turns_and_a_suspect_is_alone(tiny_folder: Path) -> None:
    lines = rota(tiny_folder, *(job(name, LONGER) for name in ("a1", "a2", "a3", "b1")))
    order = []
    for _ in range(4):
        order += admitted(lines)
        lines.leave(order[-1])
    assert order == ["a1", "b1", "a2", "a3"]
    lines = rota(tiny_folder, job("a1"), job("b1"), job("c1"))
    assert admitted(lines) == ["a1", "b1"]
    lines.put_back([job("a1", attempts=1), job("b1", attempts=1)])
    for alone in ("a1", "b1", "c1"):
        assert admitted(lines) == [alone]
        lines.leave(alone)


class ScriptedWorker:
    """A worker process that does what the test says, when it says so."""

    def __init__(self) -> None:
        self.ready = Ready(("CPUExecutionProvider",), ROOM)
        self.pid = 0
        self.orders: list[str] = []
        self.cancelled: list[str] = []
        self._events: asyncio.Queue[FromWorker | None] = asyncio.Queue()

    async def send(self, command: ToWorker) -> None:
        if isinstance(command, Render):
            self.orders.append(command.job_id)
        elif isinstance(command, Cancel):
            self.cancelled.append(command.job_id)

    async def receive(self) -> FromWorker:
        event = await self._events.get()
        if event is None:
            raise ConnectionError("killed")
        return event

    def say(self, *events: FromWorker | None) -> None:
        """Events for the engine; None kills the worker."""
        for event in events:
            self._events.put_nowait(event)


@asynccontextmanager
async def scripted(
    folder: Path, takes: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[LocalEngine, EngineLog, list[ScriptedWorker]]]:
    workers: list[ScriptedWorker] = []

    @asynccontextmanager
    async def next_worker(*_: object) -> AsyncIterator[ScriptedWorker]:
        workers.append(ScriptedWorker())
        yield workers[-1]

    monkeypatch.setattr(server.engine.local, "worker_process", next_worker)
    monkeypatch.setattr(server.engine.local, "_RESTART_PAUSE_S", 0.0)
    engine = LocalEngine(folder, takes)
    log = EngineLog(engine)
    await engine.start()
    try:
        yield engine, log, workers
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
            assert workers[0].orders == [bulk, good, bad]
            assert engine.status().running == 3
            workers[0].say(Turn((bulk,)), Turn((good, bad)), None)
            await until(lambda: len(workers) == 2 and len(workers[1].orders) == 2)
            assert workers[1].orders == [good, bulk], "suspects one at a time"
            assert [engine.job(name).attempts for name in (good, bad, bulk)] == [1, 1, 0]
            workers[1].say(Turn((good,)), Done(good, ()), Turn((bad,)), Turn((bulk,)), Turn((bad,)))
            await until(lambda: engine.job(bulk).attempts == 1)
            assert workers[1].orders == [good, bulk, bad]
            workers[1].say(None)
            await until(lambda: engine.job(bad).state.final)
            await until(lambda: len(workers) == 3 and workers[2].orders == [bulk])
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
            worker.say(Turn((first, second)))
            await until(lambda: engine.job(second).state is JobState.RUNNING)
            await engine.cancel(first)
            assert worker.cancelled == [first]
            worker.say(Failed(first, "cancelled", ""), Done(second, ()))
            await until(lambda: engine.job(second).state.final)
            assert log.states(first) == ["queued", "running", "cancelled"]
            assert engine.status().running == 0

    asyncio.run(scenario())
