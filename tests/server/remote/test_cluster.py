"""The cluster's engine: replicas come and go, jobs stay. Ray itself: test_cluster_ray.py."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import soundfile
from engine_log import ENDLESS, EngineLog, running_engine
from server_run import wav

from server.errors import ModelError, QueueFull
from server.jobs.job import Job, JobState
from server.jobs.journal import Journal
from server.model.manifest import Manifest
from server.remote.cluster_engine import MAX_ATTEMPTS, ClusterEngine
from server.remote.cluster_replica import Part, Replica
from server.requests.request import AnyRequest, TextToAudio, Transfer

pytestmark = pytest.mark.integration

BULK = msgspec.structs.replace(ENDLESS, priority="bulk")
QUICK = TextToAudio(prompt="low hum", seed=7, num_inference_steps=3, audio_length_in_s=0.5)


class ReplicasHere:
    """Two replicas in this process, taken in turns."""

    def __init__(self, model: Path) -> None:
        digest = Manifest.load(model).digest
        self._replicas = [Replica(str(model), digest, "cpu", 1) for _ in range(2)]
        self._turns = itertools.cycle((0, 1))
        self.given: dict[int, list[int | None]] = {0: [], 1: []}
        """The seeds that each has been given."""
        self.losses: Counter[int | None] = Counter()
        """How often the replica that renders this seed is still to be lost under it."""

    async def start(self) -> int:
        await asyncio.gather(*(replica.ready() for replica in self._replicas))
        return len(self._replicas)

    async def render(self, request: AnyRequest, files: Mapping[str, bytes]) -> AsyncIterator[Part]:
        k = next(self._turns)
        self.given[k].append(request.seed)
        async with aclosing(self._replicas[k].render(request, files)) as parts:
            async for part in parts:
                yield part
                if self.losses[request.seed] and isinstance(part, Job) and part.step:
                    self.losses[request.seed] -= 1
                    raise ConnectionError("the node is gone")

    async def close(self) -> None:
        await asyncio.gather(*(replica.close() for replica in self._replicas))


@asynccontextmanager
async def cluster(
    model: Path, takes: Path, **options: Any
) -> AsyncIterator[tuple[ClusterEngine, EngineLog, ReplicasHere]]:
    replicas = ReplicasHere(model)
    engine = ClusterEngine(model, takes, replicas, **options)
    log = EngineLog(engine)
    await engine.start()
    try:
        yield engine, log, replicas
    finally:
        await engine.close()


def samples(job: Job) -> list[bytes]:
    return [bytes(soundfile.read(take.path)[0].tobytes()) for take in job.takes]


def test_a_cluster_renders_what_one_machine_renders(tiny_folder: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    clip.write_bytes(wav(0.6))
    requests = [
        QUICK,
        TextToAudio(prompt="high", seed=1, num_inference_steps=2, num_waveforms_per_prompt=2),
        Transfer(prompt="high hiss", clip=str(clip), seed=3, num_inference_steps=3),
    ]

    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path / "here") as (engine, log):
            here = [await log.final((await engine.submit(request)).id) for request in requests]
        async with cluster(tiny_folder, tmp_path / "takes") as (engine, log, replicas):
            jobs = [await engine.submit(request) for request in requests]
            for job, expected in zip(jobs, here, strict=True):
                done = await log.final(job.id)
                assert done.state is JobState.DONE, done.error
                assert samples(done) == samples(expected)
                assert all(take.path.parent == tmp_path / "takes" for take in done.takes)
                assert log.states(job.id)[-2:] == ["running", "done"]
            assert all(replicas.given.values())
            broken = tmp_path / "broken.wav"
            broken.write_bytes(b"RIFF, so to say")
            failed = await log.final((await engine.submit(Transfer(clip=str(broken)))).id)
            assert (failed.state, failed.error_code) == (JobState.FAILED, "unreadable_audio")

    asyncio.run(scenario())


def test_no_job_is_lost_with_its_replica(tiny_folder: Path, tmp_path: Path) -> None:
    twice = msgspec.structs.replace(QUICK, num_inference_steps=50, seed=100)
    cursed = msgspec.structs.replace(QUICK, num_inference_steps=50, seed=200)

    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path / "here") as (engine, log):
            expected = await log.final((await engine.submit(twice)).id)
        async with cluster(tiny_folder, tmp_path / "takes") as (engine, log, replicas):
            replicas.losses.update({100: 2, 200: MAX_ATTEMPTS})
            job = await engine.submit(twice)
            others = [await engine.submit(QUICK) for _ in range(6)]
            hopeless = await engine.submit(cursed)
            done = await log.final(job.id)
            assert (done.state, done.attempts) == (JobState.DONE, 3), done.error
            assert samples(done) == samples(expected)
            assert log.states(job.id) == [*["queued", "running"] * 3, "done"]
            for other in others:
                assert (await log.final(other.id)).state is JobState.DONE
            given_up = await log.final(hopeless.id)
            assert (given_up.state, given_up.attempts) == (JobState.FAILED, MAX_ATTEMPTS)
            assert f"{MAX_ATTEMPTS} replicas were lost" in given_up.error
            assert engine.status().restarts == 2 + MAX_ATTEMPTS

    asyncio.run(scenario())


def test_cancel_order_and_a_full_queue(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with cluster(tiny_folder, tmp_path, max_queued=1) as (engine, log, _):
            running = [await engine.submit(BULK, owner="a") for _ in range(4)]
            bulk = await engine.submit(BULK, owner="a", request_id="r")
            assert (await engine.submit(BULK, owner="a", request_id="r")).id == bulk.id
            assert (engine.status().running, engine.status().queued) == (4, 1)
            with pytest.raises(QueueFull, match="waiting already"):
                await engine.submit(QUICK)
            assert (await engine.cancel(bulk.id)).state is JobState.CANCELLED
            # Bulk holds all its places on both replicas; a live job has one of its own.
            live = await log.final((await engine.submit(QUICK)).id)
            assert (live.request.live, live.state) == (True, JobState.DONE)
            assert not engine.job(running[0].id).state.final
            for job in running:
                assert (await engine.cancel(job.id)).state is JobState.CANCELLED
            assert engine.status().running == 0

    asyncio.run(scenario())


def test_the_journal_brings_jobs_back(tiny_folder: Path, tmp_path: Path) -> None:
    def journal() -> Journal:
        return Journal(tmp_path / "journal.sqlite3")

    async def scenario() -> None:
        async with cluster(tiny_folder, tmp_path / "a", journal=journal()) as (engine, log, _):
            running = await engine.submit(ENDLESS)
            await log.step(running.id)
        async with cluster(tiny_folder, tmp_path / "a", journal=journal()) as (engine, log, _):
            again = engine.job(running.id)
            assert (again.state.final, again.request) == (False, running.request)
            await log.step(running.id)
            await engine.cancel(running.id)

    asyncio.run(scenario())


def test_a_node_with_another_model_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="on this node"):
        Replica(str(tiny_folder), "0" * 64, "cpu", 1)


def test_previews_come_from_the_replica(tiny_folder: Path, tmp_path: Path) -> None:
    heard = msgspec.structs.replace(ENDLESS, previews=8)

    async def scenario() -> None:
        async with cluster(tiny_folder, tmp_path) as (engine, log, _):
            job_id = (await engine.submit(heard)).id
            await log.until(lambda: engine.job(job_id).preview is not None)
            job = engine.job(job_id)
            assert job.preview is not None
            assert soundfile.info(job.preview.path).frames > 0
            assert (await engine.cancel(job.id)).preview is None
            assert not job.preview.path.exists()

    asyncio.run(scenario())
