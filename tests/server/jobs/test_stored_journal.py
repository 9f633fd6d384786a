"""A journal of an earlier version opens and its jobs go on.

``data/journal-v1.sqlite3`` holds what a server left that was killed while it rendered: eight
finished jobs of six kinds with their takes, one failed, one cancelled, one running and three
queued. Takes were in ``takes/``, the clip was ``clip.wav``, the models were ``one`` and ``two``.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fleet_run import make_models, running_fleet
from server_run import wav

from server.jobs.job import Job, JobState, decode_job
from server.jobs.journal import Journal
from server.jobs.library import Library, TakeMarks
from server.jobs.salvage import salvaged
from server.messages import encode
from server.requests.request import TextToAudio

STORED = Path(__file__).parent / "data" / "journal-v1.sqlite3"
KINDS = ["text", "text", "text", "morph", "transfer", "inpaint", "upscale", "vary"]
RUNNING, QUEUED, WAITING = "3c2d376c1c", ("3e659dbad2", "e819ad77b5"), "565f240038"


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the stored journal, in a folder like the one it comes from."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.wav").write_bytes(wav(0.6))
    return Path(shutil.copy(STORED, tmp_path / "journal.sqlite3"))


def rows(path: Path) -> dict[str, bytes]:
    """The encoded jobs by id, oldest first."""
    connection = sqlite3.connect(path)
    try:
        return dict(connection.execute("SELECT id, data FROM jobs ORDER BY rowid").fetchall())
    finally:
        connection.close()


def without_new(value: Any, old: Any) -> Any:
    """``value`` without the fields that ``old`` has not; an older program skips them."""
    if isinstance(value, dict) and isinstance(old, dict):
        return {name: without_new(v, old[name]) for name, v in value.items() if name in old}
    if isinstance(value, list) and isinstance(old, list) and len(value) == len(old):
        return [without_new(*pair) for pair in zip(value, old, strict=True)]
    return value


def plain(data: bytes) -> dict[str, Any]:
    return dict(msgspec.msgpack.decode(data))


def test_every_kind_and_state_is_read(journal: Path) -> None:
    opened = Journal(journal)
    jobs = opened.load()
    opened.close()
    assert [type(job.request).__struct_config__.tag for job in jobs[:8]] == KINDS
    assert [job.state.value for job in jobs] == [
        *(["done"] * 8),
        *("failed", "queued", "cancelled", "queued", "queued", "queued"),
    ]
    assert [len(job.takes) for job in jobs[:8]] == [1, 2, 1, 1, 1, 1, 1, 1]
    assert [(job.owner, job.request_id) for job in jobs if job.request_id] == [
        ("osc:studio", "1"),
        ("osc:studio", "2"),
        ("web", "3"),
    ]
    assert all(job.request.seed is not None for job in jobs)
    assert jobs[0].takes[0].path == Path("takes/low-hum_7_1b782305e4-1.wav")
    assert len(jobs[0].takes[0].embedding) == 2 * 32
    assert jobs[8].error_code == "unreadable_audio"


def test_a_job_is_stored_as_before(journal: Path) -> None:
    for data in rows(journal).values():
        again = msgspec.msgpack.decode(encode(decode_job(data)))
        assert without_new(again, msgspec.msgpack.decode(data)) == msgspec.msgpack.decode(data)


def test_salvage_reads_every_row_that_is_written(journal: Path, tmp_path: Path) -> None:
    opened = Journal(journal)
    jobs = opened.load()
    opened.close()
    new = tmp_path / "new.sqlite3"

    async def write() -> None:
        written = Journal(new)
        written.load()
        for job in jobs:
            for take in job.takes:
                take.path.parent.mkdir(exist_ok=True)
                take.path.touch()
            await written.record(job)
        marks = TakeMarks(tags=("bass", "rain"), kept=True)
        await Library(written).mark(jobs[0].id, 1, marks)
        await written.query(
            lambda c: c.execute("INSERT INTO heard VALUES (?, 1, 'tower', ?)", (jobs[0].id, b"12"))
        )
        written.close()

    asyncio.run(write())
    found = salvaged(new)
    connection = sqlite3.connect(new)
    for table in ("jobs", "takes", "heard"):
        stored = connection.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()
        assert stored
        assert [tuple(row) for row in found.rows[table]] == stored
    connection.close()
    assert not found.lost


@pytest.mark.integration
def test_unfinished_jobs_go_on_and_finished_ones_stay(tiny_folder: Path, journal: Path) -> None:
    before = rows(journal)

    async def scenario() -> None:
        folders = make_models(tiny_folder, Path("models"))[:2]
        async with running_fleet(folders, Path("takes"), journal=Journal(journal)) as run:
            fleet, log, _ = run
            slow = fleet.job(RUNNING).request
            again = await fleet.submit(
                TextToAudio(
                    prompt=slow.prompt,
                    seed=slow.seed,
                    num_inference_steps=1000,
                    audio_length_in_s=1.0,
                    num_waveforms_per_prompt=16,
                    priority="live",
                ),
                owner="osc:studio",
                request_id="2",
            )
            assert again.id == RUNNING
            for job_id in (RUNNING, *QUEUED, WAITING):
                done = await log.final(job_id)
                assert done.state is JobState.DONE, done.error
                assert (done.attempts, done.request.seed) == (1, plain_seed(before[job_id]))
                assert all(take.path.exists() for take in done.takes)
            fresh = await fleet.submit(TextToAudio(prompt="low", audio_length_in_s=0.5, seed=1))
            await log.final(fresh.id)

    asyncio.run(scenario())
    after = rows(journal)
    unfinished = {RUNNING, *QUEUED, WAITING}
    assert {k: v for k, v in after.items() if k in before and k not in unfinished} == {
        k: v for k, v in before.items() if k not in unfinished
    }
    # A new job has the fields that a stored one has, in the same order.
    first, fresh = plain(next(iter(before.values()))), plain(list(after.values())[-1])
    for new, old in ((fresh, first), (fresh["request"], first["request"])):
        assert [name for name in new if name in old] == list(old)


def plain_seed(data: bytes) -> int:
    return int(plain(data)["request"]["seed"])


def test_a_job_of_another_version_is_left_alone(journal: Path) -> None:
    connection = sqlite3.connect(journal)
    strange = msgspec.msgpack.encode({**plain(rows(journal)[WAITING]), "state": "paused"})
    connection.execute("UPDATE jobs SET data = ? WHERE id = ?", (strange, WAITING))
    connection.commit()
    connection.close()
    opened = Journal(journal)
    jobs: list[Job] = opened.load()
    opened.close()
    assert len(jobs) == 13
    assert WAITING not in {job.id for job in jobs}
    assert rows(journal)[WAITING] == strange
