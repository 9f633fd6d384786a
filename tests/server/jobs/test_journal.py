"""The journal: what was promised is on disk, whatever dies and when."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from engine_log import SLOW, running_engine

from server.errors import Conflict, StorageFull
from server.jobs import storage
from server.jobs.job import Job, JobState, TakeInfo
from server.jobs.journal import Journal
from server.requests.request import TextToAudio
from server.requests.resolved import ResolvedText

pytestmark = pytest.mark.integration

REQUEST = TextToAudio(prompt="low hum", seed=7, num_inference_steps=3, audio_length_in_s=0.5)
RESOLVED = ResolvedText(
    prompt="low hum",
    seed=7,
    num_candidates=1,
    num_inference_steps=3,
    guidance_scale=2.5,
    guidance_end=1.0,
    sampler="ddim",
    audio_length_in_s=0.5,
)


def job(job_id: str, state: JobState = JobState.QUEUED, **more: object) -> Job:
    values = {"id": job_id, "request": RESOLVED, "state": state, "created_s": 1.0, **more}
    return Job(**values)  # type: ignore[arg-type]


def write(path: Path, *jobs: Job) -> None:
    async def scenario() -> None:
        journal = Journal(path)
        journal.load()
        await asyncio.gather(*(journal.record(job) for job in jobs))
        journal.close()

    asyncio.run(scenario())


def read(path: Path) -> list[Job]:
    journal = Journal(path)
    try:
        return journal.load()
    finally:
        journal.close()


def test_what_was_written_comes_back_in_order(tmp_path: Path) -> None:
    take = TakeInfo(path=tmp_path / "a.wav", seed=7, sample_rate=48000, channels=1, frames=10)
    jobs = [
        job("c", request_id="1", owner="me", folder=tmp_path),
        job("a", JobState.DONE, takes=(take,)),
        job("b"),
    ]
    write(tmp_path / "j", *jobs)
    assert read(tmp_path / "j") == jobs


def test_the_newest_snapshot_counts(tmp_path: Path) -> None:
    write(tmp_path / "j", job("a"), job("b"), job("a", JobState.DONE))
    assert [(j.id, j.state) for j in read(tmp_path / "j")] == [
        ("a", JobState.DONE),
        ("b", JobState.QUEUED),
    ]


def test_a_running_job_is_queued_again_and_its_start_does_not_count(tmp_path: Path) -> None:
    write(tmp_path / "j", job("a", JobState.RUNNING, attempts=1, step=9))
    assert read(tmp_path / "j") == [job("a")]
    assert read(tmp_path / "j") == [job("a")]


def test_a_job_under_which_the_server_keeps_dying_is_failed(tmp_path: Path) -> None:
    async def die_running() -> Job:
        journal = Journal(tmp_path / "j", max_recoveries=2)
        (found,) = journal.load()
        if not found.state.final:
            await journal.record(msgspec.structs.replace(found, state=JobState.RUNNING))
        journal.close()
        return found

    write(tmp_path / "j", job("a", JobState.RUNNING))
    states = [asyncio.run(die_running()) for _ in range(4)]
    assert [s.state.value for s in states] == ["queued", "queued", "failed", "failed"]
    assert "the server died 3 times" in states[-1].error


def test_only_the_newest_finished_jobs_are_remembered(tmp_path: Path) -> None:
    write(tmp_path / "j", job("open"), *(job(f"d{k}", JobState.DONE) for k in range(5)))
    journal = Journal(tmp_path / "j", remembered=2)
    assert [j.id for j in journal.load()] == ["open", "d3", "d4"]
    journal.close()


def test_a_journal_has_one_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.jobs.journal.LOCK_TIMEOUT_S", 0.05)
    first, second = Journal(tmp_path / "j"), Journal(tmp_path / "j")
    first.load()
    with pytest.raises(Conflict, match="another audioldm process"):
        second.load()
    second.close()
    first.close()
    assert read(tmp_path / "j") == []


def test_a_damaged_file_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"this is no database, and long enough to say so" * 100)
    write(tmp_path / "j", job("a"))
    assert read(tmp_path / "j") == [job("a")]
    assert len(list(tmp_path.glob("j.damaged-*"))) == 1


def test_a_full_disk_refuses_and_harms_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path / "j")
        journal.load()
        await journal.record(job("before"))

        def fill_up(connection: sqlite3.Connection) -> None:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count={pages}")

        await journal.query(fill_up)
        too_much = (journal.record(job(f"job{number}")) for number in range(100))
        with pytest.raises(StorageFull, match="full"):
            await asyncio.gather(*too_much)
        # The end of an accepted job is kept, and written as soon as there is room.
        big = job("before", JobState.DONE, error="x" * 10_000)
        with pytest.raises(StorageFull):
            await journal.record(big)
        await journal.query(lambda c: c.execute("PRAGMA max_page_count=100000").fetchall())
        await journal.record(job("after"))
        journal.close()

    asyncio.run(scenario())
    jobs = {j.id: j.state for j in read(tmp_path / "j")}
    assert jobs["before"] is JobState.DONE
    assert jobs["after"] is JobState.QUEUED


def test_a_place_that_cannot_be_written_says_so_and_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "place").write_text("a file where the folder should be")

    async def scenario() -> None:
        journal = Journal(tmp_path / "place" / "j")
        assert journal.load() == []
        with pytest.raises(StorageFull, match="cannot be written"):
            await journal.record(job("a"))
        (tmp_path / "place").unlink()
        await journal.record(job("a"))
        journal.close()

    asyncio.run(scenario())
    assert [j.id for j in read(tmp_path / "place" / "j")] == ["a"]


def test_an_engine_goes_on_where_the_last_one_was_cut_off(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path / "calm") as (engine, log):
            expected = (await log.final((await engine.submit(SLOW)).id)).takes[0].path.read_bytes()
        options = {"journal": Journal(tmp_path / "j")}
        async with running_engine(tiny_folder, tmp_path, **options) as (engine, log):
            done = await log.final((await engine.submit(REQUEST, request_id="d")).id)
            running = await engine.submit(SLOW, owner="me", request_id="r")
            queued = await engine.submit(REQUEST, owner="me")
            await log.step(running.id, 3)
        assert not engine.job(running.id).state.final
        options = {"journal": Journal(tmp_path / "j")}
        async with running_engine(tiny_folder, tmp_path, **options) as (engine, log):
            assert engine.job(done.id) == done
            assert (await engine.submit(SLOW, owner="me", request_id="r")).id == running.id
            again = await log.final(running.id)
            assert log.states(running.id) == ["running", "done"]
            assert again.takes[0].path.read_bytes() == expected
            assert (await log.final(queued.id)).state is JobState.DONE
            assert [j.id for j in engine.jobs()] == [done.id, running.id, queued.id]

    asyncio.run(scenario())


def test_done_is_on_disk_before_it_is_told(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        engine_options = {"journal": Journal(tmp_path / "j")}
        async with running_engine(tiny_folder, tmp_path, **engine_options) as (engine, log):
            copies: list[Path] = []

            def copy_journal(job: Job) -> None:
                if job.state in (JobState.QUEUED, JobState.DONE):
                    copies.append(tmp_path / f"copy{len(copies)}")
                    copies[-1].mkdir()
                    for file in tmp_path.glob("j*"):
                        shutil.copy(file, copies[-1])

            engine.listen(copy_journal)
            await log.final((await engine.submit(REQUEST)).id)
        # What a power cut at the moment of each event would have left.
        states = [read(copy / "j")[0].state for copy in copies]
        assert states == [JobState.QUEUED, JobState.DONE]

    asyncio.run(scenario())


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_disk_without_room_refuses_new_work(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with running_engine(tiny_folder, tmp_path) as (engine, _):
            with monkeypatch.context() as full:
                full.setattr(storage.shutil, "disk_usage", lambda _: Usage(9, 8, 1))
                with pytest.raises(StorageFull, match="0 MiB are free"):
                    await engine.submit(REQUEST)
            assert engine.jobs() == []
            await engine.submit(REQUEST)

    asyncio.run(scenario())
