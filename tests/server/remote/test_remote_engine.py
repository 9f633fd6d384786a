"""The remote engine: as if it were here, and nothing lost when the connection is."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_log import ENDLESS, SLOW, EngineLog, running_engine
from server_run import running_server, wav

from benchmarks.server_process import ServerProcess
from server.engine.local import LocalEngine
from server.errors import EngineUnavailable, InvalidRequest, QueueFull, Unauthorized
from server.http.access import Caller, Gate, TokenFile
from server.jobs.job import JobState
from server.remote.client import RemoteClient
from server.remote.remote_engine import RemoteEngine
from server.requests.request import Inpaint, TextToAudio, Transfer

pytestmark = pytest.mark.integration

QUICK = TextToAudio(prompt="low hum", seed=7, num_inference_steps=3, audio_length_in_s=0.5)


@asynccontextmanager
async def remote_engine(
    url: str, takes: Path, **options: Any
) -> AsyncIterator[tuple[RemoteEngine, EngineLog]]:
    engine = RemoteEngine(url, takes, **options)
    log = EngineLog(engine)
    try:
        await engine.start()
        yield engine, log
    finally:
        await engine.close()


@pytest.fixture
def server(tiny_folder: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tiny_folder, tmp_path / "server")
    process.start()
    yield process
    process.stop()


def test_remote_equals_local(tiny_folder: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    clip.write_bytes(wav(0.6))
    requests = [
        QUICK,
        TextToAudio(prompt="high", seed=1, num_inference_steps=2, num_waveforms_per_prompt=2),
        Transfer(prompt="high hiss", clip=str(clip), seed=3, num_inference_steps=3),
        Inpaint(prompt="comb", clip=str(clip), regions="0.1:0.3", seed=3, num_inference_steps=3),
    ]

    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path / "local") as (engine, log):
            here = [await log.final((await engine.submit(request)).id) for request in requests]
        async with (
            running_server(tiny_folder, tmp_path / "server") as server,
            remote_engine(server.url, tmp_path / "mine") as (engine, log),
        ):
            assert engine.manifest == server.engine.manifest
            assert (engine.connection, engine.status().state) == ("connected", "ready")
            for request, expected in zip(requests, here, strict=True):
                job = await engine.submit(request, owner="me", folder=tmp_path / "mine" / "x")
                done = await log.final(job.id)
                assert done.state is JobState.DONE, done.error
                assert log.states(job.id)[-1] == "done"
                assert (done.request, done.owner) == (expected.request, "me")
                for take, other in zip(done.takes, expected.takes, strict=True):
                    assert take.path.parent == tmp_path / "mine" / "x"
                    assert take.path.suffix == other.path.suffix
                    assert (take.seed, take.frames) == (other.seed, other.frames)
                    assert samples(take.path) == samples(other.path)
            assert [j.owner for j in server.engine.jobs()] == ["local"] * len(requests)

    asyncio.run(scenario())


def test_listeners_that_raise_do_not_end_the_connection(tiny_folder: Path, tmp_path: Path) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("a listener")

    async def scenario() -> None:
        async with (
            running_server(tiny_folder, tmp_path) as server,
            remote_engine(server.url, tmp_path / "mine") as (engine, log),
        ):
            engine.listen(broken)
            engine.listen_models(broken)
            for seed in (1, 2):
                wanted = msgspec.structs.replace(QUICK, seed=seed)
                assert (await log.final((await engine.submit(wanted)).id)).state is JobState.DONE
            assert (engine.connection, engine.status().restarts) == ("connected", 0)

    asyncio.run(scenario())


def samples(path: Path) -> bytes:
    import soundfile

    return bytes(soundfile.read(path)[0].tobytes())


def test_request_ids_errors_and_cancel_as_here(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running_server(tiny_folder, tmp_path, max_queued=1) as server,
            remote_engine(server.url, tmp_path / "mine") as (engine, log),
        ):
            first = await engine.submit(ENDLESS, owner="a", request_id="1")
            assert (await engine.submit(ENDLESS, owner="a", request_id="1")).id == first.id
            await log.step(first.id)
            second = await engine.submit(QUICK, owner="b", request_id="1")
            assert second.id != first.id
            with pytest.raises(QueueFull, match="waiting already"):
                await engine.submit(QUICK)
            with pytest.raises(InvalidRequest, match="prompt"):
                await engine.submit(TextToAudio(prompt=""))
            await engine.cancel(first.id)
            assert (await log.final(first.id)).state is JobState.CANCELLED
            assert (await log.final(second.id)).state is JobState.DONE

    asyncio.run(scenario())


def test_a_server_that_dies_and_comes_back_costs_time_only(
    tiny_folder: Path, tmp_path: Path, server: ServerProcess
) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path / "local") as (engine, log):
            expected = await log.final((await engine.submit(SLOW)).id)
        async with remote_engine(server.url, tmp_path / "mine", down_after_s=60) as (engine, log):
            running = await engine.submit(SLOW, owner="me", request_id="r")
            waiting = await engine.submit(QUICK)
            await log.step(running.id, 3)
            await asyncio.to_thread(server.kill)
            while engine.connection == "connected":
                await asyncio.sleep(0.01)
            assert (engine.connection, engine.status().state) == ("reconnecting", "restarting")
            await asyncio.to_thread(server.start)
            again = await engine.submit(SLOW, owner="me", request_id="r")
            assert again.id == running.id
            done = await log.final(running.id)
            assert done.state is JobState.DONE, done.error
            assert samples(done.takes[0].path) == samples(expected.takes[0].path)
            assert (await log.final(waiting.id)).state is JobState.DONE
            assert log.states(running.id).count("done") == 1
            assert [p.name for p in (tmp_path / "mine").glob(".*")] == []

    asyncio.run(scenario())


def test_a_broken_download_goes_on_wherever_it_stopped(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            async with remote_engine(server.url, tmp_path / "mine") as (engine, log):
                done = await log.final((await engine.submit(QUICK)).id)
                whole = done.takes[0].path.read_bytes()
            client = RemoteClient(server.url)
            (take,) = (await client.job(done.id)).takes
            for length in (0, 1, len(whole) // 2, len(whole)):
                part = tmp_path / "part"
                part.write_bytes(whole[:length])
                assert await client.download(take, part) == ".wav"
                assert part.read_bytes() == whole
            await client.close()

    asyncio.run(scenario())


def test_without_the_server_a_local_engine_renders(
    tiny_folder: Path, tmp_path: Path, server: ServerProcess
) -> None:
    def fallback() -> LocalEngine:
        return LocalEngine(tiny_folder, tmp_path / "mine", device="cpu", threads=1)

    async def scenario() -> None:
        server.kill()
        async with remote_engine(
            server.url, tmp_path / "mine", make_fallback=fallback, down_after_s=0.1
        ) as (engine, log):
            status = engine.status()
            assert (engine.connection, status.state) == ("down", "ready")
            assert status.details["fallback"] is True
            here = await engine.submit(QUICK)
            done = await log.final(here.id)
            assert log.states(here.id) == ["queued", "running", "done"]
            await asyncio.to_thread(server.start)
            while engine.connection != "connected":
                await asyncio.sleep(0.01)
            there = await log.final((await engine.submit(QUICK)).id)
            assert samples(there.takes[0].path) == samples(done.takes[0].path)
            assert there.id in {job.name.split("_")[-1][:10] for job in takes_of(server)}
            slow = await engine.submit(SLOW)
            await asyncio.to_thread(server.kill)
            while engine.connection == "connected":
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            assert (await log.final((await engine.submit(QUICK)).id)).state is JobState.DONE
            await asyncio.to_thread(server.start)
            assert (await log.final(slow.id)).state is JobState.DONE

    asyncio.run(scenario())


def takes_of(server: ServerProcess) -> list[Path]:
    return list((server.folder / "takes").glob("*.wav"))


def test_a_server_that_is_told_to_stop_finishes_what_it_renders(
    tmp_path: Path, server: ServerProcess
) -> None:
    async def scenario() -> None:
        async with remote_engine(server.url, tmp_path / "mine") as (engine, log):
            # Whatever the machine, it ends within what draining allows.
            short = msgspec.structs.replace(SLOW, num_waveforms_per_prompt=1)
            running, waiting = await engine.submit(short), await engine.submit(QUICK)
            await log.step(running.id, 3)
            server.signal(signal.SIGTERM)
            assert await asyncio.to_thread(server.wait) == 0
            assert takes_of(server)
            await asyncio.to_thread(server.start)
            for job in (running, waiting):
                done = await log.final(job.id)
                assert done.state is JobState.DONE, done.error

    asyncio.run(scenario())


def test_what_cannot_work_says_why_at_once(tiny_folder: Path, tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    token = tokens.add(Caller(name="laptop"))

    async def scenario() -> None:
        with pytest.raises(InvalidRequest, match="http://"):
            RemoteEngine("context:9537", tmp_path)
        with pytest.raises(EngineUnavailable, match=r"127\.0\.0\.1:9: "):
            async with remote_engine("http://127.0.0.1:9", tmp_path):
                pass
        async with running_server(tiny_folder, tmp_path, gate=Gate(tokens), token=token) as server:
            with pytest.raises(Unauthorized):
                async with remote_engine(server.url, tmp_path / "mine", token="wrong"):
                    pass
            async with remote_engine(server.url, tmp_path / "mine", token=token) as (engine, log):
                done = await log.final((await engine.submit(QUICK, owner="osc:1")).id)
                assert (done.state, done.owner) == (JobState.DONE, "osc:1")

    asyncio.run(scenario())
