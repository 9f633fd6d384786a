"""No long-lived task dies unnoticed: what fails is logged, visible, and starts again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from engine_log import EngineLog
from server_run import running_server

import server.engine.executor
from server.config import Config
from server.engine.engine import Engine
from server.engine.loader import Loader
from server.engine.local import LocalEngine
from server.http import server as http_server
from server.http.app import HttpApi
from server.http.server import serving
from server.jobs.job import JobState
from server.jobs.journal import Journal
from server.jobs.uploads import Uploads
from server.launch import start_housekeeping
from server.remote.remote_engine import RemoteEngine
from server.requests.request import TextToAudio
from server.supervision import SupervisedTask, Supervisor
from server.worker.protocol import Done, Ready
from server.worker.renderer import MemoryRenderer

pytestmark = pytest.mark.integration

QUICK = TextToAudio(prompt="low hum", seed=7, num_inference_steps=3, audio_length_in_s=0.5)


class Breaks:
    """Stands in for a method of a task: raises once, and is the method itself from then on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.times, whole = 0, getattr(owner, name)

        def broken(*arguments: Any, **options: Any) -> Any:
            if not self.times:
                self.times += 1
                raise RuntimeError(f"{name} is broken")
            return whole(*arguments, **options)

        monkeypatch.setattr(owner, name, broken)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.005)


async def ready(engine: Engine, uploads: Uploads) -> httpx.Response:
    """What ``/ready`` answers."""
    api = HttpApi(engine, uploads)
    transport = httpx.ASGITransport(app=api.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        try:
            return await client.get("/ready")
        finally:
            api.close()


@asynccontextmanager
async def engine_of(
    kind: str, folder: Path, tmp_path: Path, break_it: Callable[[Any, str], Breaks]
) -> AsyncIterator[tuple[Engine, str]]:
    """A running engine of which a task is about to break, and the name of the task."""
    if kind == "remote":
        async with running_server(folder, tmp_path) as running:
            engine: Engine = RemoteEngine(running.url, tmp_path / "mine")
            await engine.start()
            try:
                break_it(engine, "_model_is")
                await running.engine.submit(QUICK)
                running.engine._model_listeners.notify(running.engine.models()[0])
                yield engine, f"connection to {running.url}"
            finally:
                await engine.close()
        return
    renderer = MemoryRenderer(Ready(("CPUExecutionProvider",), 64))
    engine = LocalEngine(folder, tmp_path, device="here", new_renderer=renderer.running)
    await engine.start()
    try:
        if kind == "executor":
            renderer.report(RuntimeError("the renderer is broken"))
            yield engine, f"worker of {engine.manifest.name} on here"
        elif kind == "loader":
            break_it(Loader, "_advance")
            engine._loader.look()
            yield engine, "loading of models"
        else:
            break_it(Uploads, "retain")
            start_housekeeping(engine, Config(state_folder=str(tmp_path / "state")))
            yield engine, "housekeeping"
    finally:
        await engine.close()


@pytest.mark.parametrize("kind", ["executor", "loader", "housekeeping", "remote"])
def test_a_task_that_breaks_is_logged_visible_and_recovers(
    kind: str,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        def break_it(owner: Any, name: str) -> Breaks:
            return Breaks(monkeypatch, owner, name)

        uploads = Uploads(tmp_path / "uploads", 1)
        async with engine_of(kind, tiny_folder, tmp_path, break_it) as (engine, name):
            await until(lambda: name in engine.supervisor.failures)
            assert "broken" in engine.status().details["failing"][name]
            answer = await ready(engine, uploads)
            if kind == "housekeeping":  # jobs are rendered all the same
                assert (answer.status_code, answer.json()["details"]) == (200, {"failing": [name]})
            else:
                assert (answer.status_code, engine.status().state) == (503, "restarting")
            await until(lambda: not engine.supervisor.failures)
            await until(lambda: engine.status().state == "ready")
            assert (await ready(engine, uploads)).json()["details"] == {}
        (record,) = [r for r in caplog.records if r.name == "audioldm.supervision"]
        assert (record.levelno, name in record.message) == (logging.ERROR, True)
        assert record.exc_info is not None
        assert "broken" in str(record.exc_info[1])

    asyncio.run(scenario())


def test_the_http_server_recovers_on_the_same_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Breaks(monkeypatch, http_server._Server, "on_tick")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def scenario() -> None:
        async with serving(app, "127.0.0.1", 0) as port, httpx.AsyncClient() as client:
            await until(lambda: bool(caplog.records))
            for _ in range(400):
                try:
                    answer = await client.get(f"http://127.0.0.1:{port}/")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.01)
            assert answer.status_code == 204

    asyncio.run(scenario())
    (record,) = [r for r in caplog.records if r.name == "audioldm.supervision"]
    assert "HTTP on port" in record.message


def test_a_journal_that_breaks_refuses_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
) -> None:
    async def scenario() -> None:
        renderer = MemoryRenderer(Ready((), 64))
        journal = Journal(tmp_path / "j")
        engine = LocalEngine(tiny_folder, tmp_path, journal=journal, new_renderer=renderer.running)
        log = EngineLog(engine)
        await engine.start()
        Breaks(monkeypatch, journal, "query")
        with pytest.raises(server.errors.StorageFull, match="query is broken"):
            await engine.submit(QUICK)
        job = await engine.submit(QUICK)
        await until(lambda: renderer.jobs == [job.id])
        renderer.report(Done(job.id, ()))
        assert (await log.final(job.id)).state is JobState.DONE
        await engine.close()

    asyncio.run(scenario())


def test_a_job_goes_on_after_its_renderer_broke(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
) -> None:
    monkeypatch.setattr(server.engine.executor, "_RESTART_PAUSE_S", 0.0)

    async def scenario() -> None:
        renderer = MemoryRenderer(Ready((), 64))
        engine = LocalEngine(tiny_folder, tmp_path, new_renderer=renderer.running)
        await engine.start()
        job = await engine.submit(QUICK)
        renderer.report(KeyError("a bug"))
        await until(lambda: renderer.jobs == [job.id] * 2)
        renderer.report(Done(job.id, ()))
        assert (await engine.ended(job.id)).state is JobState.DONE
        assert engine.status().restarts == 1
        await engine.close()

    asyncio.run(scenario())


def test_a_task_that_returns_or_is_stopped_does_not_start_again() -> None:
    runs: list[str] = []

    async def once() -> None:
        runs.append("once")

    async def for_ever() -> None:
        runs.append("for ever")
        await asyncio.Event().wait()

    async def scenario() -> None:
        supervisor = Supervisor()
        await supervisor.add(SupervisedTask("once", once, pause_s=0.0)).finish()
        supervisor.add(SupervisedTask("for ever", for_ever, pause_s=0.0))
        await asyncio.sleep(0.01)
        assert supervisor.failures == {}
        await supervisor.close()

    asyncio.run(scenario())
    assert runs == ["once", "for ever"]


def test_a_cancellation_from_inside_is_a_failure_too() -> None:
    runs: list[int] = []

    async def waits_for_something_cancelled() -> None:
        runs.append(1)
        if len(runs) == 1:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    async def scenario() -> None:
        task = SupervisedTask("waiting", waits_for_something_cancelled, pause_s=0.01)
        await until(lambda: bool(task.failure))
        assert "cancelled from inside" in task.failure
        await task.finish()
        assert (len(runs), task.restarts) == (2, 1)

    asyncio.run(scenario())


def test_a_task_that_fails_while_it_is_stopped_ends() -> None:
    async def fails_to_clean_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning up")

    async def scenario() -> None:
        supervisor = Supervisor()
        supervisor.add(SupervisedTask("cleaning", fails_to_clean_up, pause_s=0.0))
        await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            await supervisor.close()

    asyncio.run(scenario())
