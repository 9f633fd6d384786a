"""A damaged journal: what can be read is, the rest is set aside, and everybody is told."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from hearing import heard
from server_run import running_server

from osc_bridge.bridge import OscBridge
from osc_bridge.client.client import Client
from server.cli import main
from server.config import Config
from server.errors import Conflict, StorageDamaged
from server.jobs import journal_file
from server.jobs.job import Job, JobState, TakeInfo
from server.jobs.journal import Journal
from server.jobs.journal_file import back_up
from server.jobs.library import Library, TakeMarks, TakeSearch
from server.jobs.salvage import salvaged
from server.requests.resolved import ResolvedText

PAGE = 4096
NUM_JOBS = 156
UNFINISHED = {f"{k:010x}" for k in range(0, NUM_JOBS, 26)}


def job(job_id: str, folder: Path, **more: object) -> Job:
    request = ResolvedText(
        prompt=f"sound {job_id} " * 4,
        seed=7,
        num_candidates=1,
        num_inference_steps=3,
        guidance_scale=2.5,
        guidance_end=1.0,
        sampler="ddim",
        audio_length_in_s=0.5,
    )
    return Job(id=job_id, request=request, folder=folder, **more)  # type: ignore[arg-type]


def all_jobs(folder: Path) -> list[Job]:
    path = folder / "take.wav"
    path.write_bytes(b"RIFF")
    take = TakeInfo(
        path=path, seed=1, sample_rate=1, channels=1, frames=1, embedding=bytes(range(256)) * 20
    )
    return [
        job(f"{k:010x}", folder)
        if f"{k:010x}" in UNFINISHED
        else job(f"{k:010x}", folder, state=JobState.DONE, takes=(take,))
        for k in range(NUM_JOBS)
    ]


def write(path: Path, *jobs: Job) -> None:
    async def scenario() -> None:
        journal = Journal(path)
        journal.load()
        await asyncio.gather(*map(journal.record, jobs))
        journal.close()

    asyncio.run(scenario())


def read(path: Path) -> tuple[set[str], str]:
    """Ids of the jobs, and what is told."""
    journal = Journal(path)
    try:
        return {job.id for job in journal.load()}, journal.notice
    finally:
        journal.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal that was closed."""
    folder = tmp_path_factory.mktemp("whole")
    write(folder / "j", *all_jobs(folder))
    return folder / "j"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal as a kill leaves it: some of it is only in its log."""
    folder = tmp_path_factory.mktemp("killed")
    jobs = all_jobs(folder)
    write(folder / "j", *jobs[:100])
    left = folder / "left"
    left.mkdir()

    async def scenario() -> None:
        journal = Journal(folder / "j")
        journal.load()
        await asyncio.gather(*map(journal.record, jobs[100:]))
        for ending in ("", "-wal", "-shm"):
            shutil.copy(folder / f"j{ending}", left / f"j{ending}")
        journal.close()

    asyncio.run(scenario())
    return left / "j"


def copied(source: Path, folder: Path) -> Path:
    for file in source.parent.glob("j*"):
        shutil.copy(file, folder / file.name)
    return folder / "j"


def spoil(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(random.Random(page).randbytes(PAGE))


def check_survived(path: Path, *, least: int) -> None:
    """Jobs are there or named as lost, everybody is told, and new work is not forgotten."""
    found, notice = read(path)
    assert len(found) >= least, notice
    (aside,) = (p for p in path.parent.glob("j.damaged-*") if not p.name.endswith("-wal"))
    assert aside.name in notice
    assert f"{len(found)} jobs ({len(found & UNFINISHED)} unfinished)" in notice
    lost = NUM_JOBS - len(found)
    assert not lost or f"{lost} jobs ({len(UNFINISHED - found)} unfinished) are lost" in notice
    write(path, job("new", path.parent))
    again, notice = read(path)
    assert again == found | {"new"}
    assert aside.name in notice, "told until somebody has looked at it"
    aside.unlink()
    assert read(path) == (again, "")


@pytest.mark.parametrize("place", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_a_random_page(whole: Path, tmp_path: Path, place: float) -> None:
    path = copied(whole, tmp_path)
    pages = path.stat().st_size // PAGE
    spoil(path, round(place * (pages - 1)))
    check_survived(path, least=NUM_JOBS - 30)


@pytest.mark.slow
def test_any_page(whole: Path, tmp_path: Path) -> None:
    for page in range(0, whole.stat().st_size // PAGE, 5):
        folder = tmp_path / str(page)
        folder.mkdir()
        path = copied(whole, folder)
        spoil(path, page)
        _, notice = read(path)
        if notice:  # else the page was free
            shutil.rmtree(folder)
            folder.mkdir()
            path = copied(whole, folder)
            spoil(path, page)
            check_survived(path, least=NUM_JOBS - 30)


def test_a_file_without_bytes_and_its_log(killed: Path, tmp_path: Path) -> None:
    path = copied(killed, tmp_path)
    path.write_bytes(b"")
    found, notice = read(path)
    assert "it is empty" in notice
    assert len(found) >= NUM_JOBS - 100
    assert (tmp_path / "j").stat().st_size


def test_a_log_without_its_file(killed: Path, tmp_path: Path) -> None:
    path = copied(killed, tmp_path)
    path.unlink()
    found, notice = read(path)
    assert len(found) >= NUM_JOBS - 100
    assert "its log is not" in notice


def test_a_file_that_lost_its_header_and_its_log(killed: Path, tmp_path: Path) -> None:
    path = copied(killed, tmp_path)
    spoil(path, 0)
    check_survived(path, least=NUM_JOBS)


def test_a_file_that_was_cut_off(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    os.truncate(path, path.stat().st_size // 2 // PAGE * PAGE)
    found, notice = read(path)
    assert len(found) > 20
    assert "j.damaged-" in notice


def test_names_of_takes_are_read_from_a_damaged_file(tmp_path: Path) -> None:
    write(tmp_path / "j", *all_jobs(tmp_path)[:3])

    async def scenario() -> None:
        journal = Journal(tmp_path / "j")
        journal.load()
        marks = TakeMarks(name="Sub drop", folder="bass/low")
        await Library(journal).mark(f"{1:010x}", 1, marks)
        journal.close()
        assert salvaged(tmp_path / "j").rows["names"] == [(f"{1:010x}", 1, "Sub drop", "bass/low")]

    asyncio.run(scenario())


def test_an_empty_file_is_no_new_journal(tmp_path: Path) -> None:
    (tmp_path / "j").touch()
    assert "it is empty" in read(tmp_path / "j")[1]


def test_a_start_that_died_while_it_replaced_the_file_goes_on(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    path.rename(tmp_path / "j.new")
    assert len(read(path)[0]) == NUM_JOBS


def test_damage_in_use_stops_promises(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)

    async def scenario() -> None:
        journal = Journal(path)
        journal.load()
        await journal.record(job("before", tmp_path))
        await journal.query(lambda c: c.execute("PRAGMA cache_size=1").fetchall())
        for page in range(path.stat().st_size // PAGE):
            spoil(path, page)
        with pytest.raises(StorageDamaged, match="restart"):
            await Library(journal).search(TakeSearch(query="nothing"))
        with pytest.raises(StorageDamaged, match="restart"):
            await journal.record(job("after", tmp_path))
        assert "damaged while in use" in journal.notice
        journal.close()

    asyncio.run(scenario())


def test_a_copy_is_made_and_others_read_while_jobs_are_written(tmp_path: Path) -> None:
    path, copy = tmp_path / "j", tmp_path / "copy"

    async def scenario() -> None:
        journal = Journal(path)
        journal.load()
        await journal.record(job("a", tmp_path))
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
            assert reader.execute("SELECT id FROM jobs").fetchall() == [("a",)]
            await journal.record(job("b", tmp_path))
            assert await asyncio.to_thread(back_up, path, copy) == 2
        reader.close()
        with pytest.raises(Conflict, match="exists already"):
            back_up(path, copy)
        journal.close()

    asyncio.run(scenario())
    assert read(copy) == ({"a", "b"}, "")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    old = tmp_path / "old"
    write(old, job("a", tmp_path))
    old.chmod(0o644)

    async def scenario(path: Path) -> list[int]:
        journal = Journal(path)
        journal.load()
        await journal.record(job("b", tmp_path))
        files = (p for p in tmp_path.glob(f"{path.name}*") if not p.name.endswith(".lock"))
        modes = [stat.S_IMODE(file.stat().st_mode) for file in files]
        journal.close()
        return modes

    assert set(asyncio.run(scenario(old))) == {0o600}
    assert set(asyncio.run(scenario(tmp_path / "new"))) == {0o600}
    assert journal_file.SCHEMA_VERSION == 1


def test_everybody_is_told(whole: Path, tiny_folder: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    shutil.copy(whole, state / "journal.sqlite3")
    spoil(state / "journal.sqlite3", 1)

    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            for path in ("/ready", "/v1/status"):
                notice = (await server.http.get(path)).json()["notice"]
                assert "journal.sqlite3.damaged-" in notice
                assert "jobs" in notice
            config = Config(osc_port=0, takes_folder=str(tmp_path / "takes"))
            async with OscBridge(server.engine, config) as bridge:
                await asyncio.to_thread(hears, bridge.port, "/ldm/notify", 1)
                submission = ("/ldm/text", "1", "low", "num_inference_steps", 1)
                await asyncio.to_thread(hears, bridge.port, *submission)

    def hears(port: int, *message: Any) -> None:
        with Client(port=port) as client:
            client.send(*message)
            code, sentence, about = heard(client, "/ldm/error")[-1].arguments
            assert (code, about) == ("storage_damaged", "journal")
            assert "journal.sqlite3.damaged-" in str(sentence)

    asyncio.run(scenario())


def test_the_command_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "journal.sqlite3", job("a", tmp_path))
    command = ["--state-folder", str(tmp_path), "journal", "backup", str(tmp_path / "copy")]
    assert main(command) == 0
    assert "1 jobs" in capsys.readouterr().out
    assert main(command) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["--state-folder", str(tmp_path / "none"), *command[2:4], "x"]) == 1
    assert "no journal" in capsys.readouterr().err
