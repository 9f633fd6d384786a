"""Room that stays free for what was accepted, and parts that are no leftovers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from server.errors import StorageFull
from server.jobs import storage
from server.jobs.partial_file import PartialFile
from server.jobs.storage import PROMISED, RESERVE_BYTES, check_room, remove_parts
from server.jobs.uploads import Uploads
from server.locks import LEFT_OVER_S, holding

MIB = 2**20
ENDLESS = 10**12


class Usage(NamedTuple):
    total: int
    used: int
    free: int


class Disk:
    """A disk with ``room`` bytes beyond the reserve, of which files below ``folder`` take some."""

    def __init__(self, folder: Path, room: int) -> None:
        self._folder, self._room = folder, room

    def usage(self, _: Path) -> Usage:
        used = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        return Usage(0, used, RESERVE_BYTES + self._room - used)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(tmp_path, 4 * MIB)
    monkeypatch.setattr(storage.shutil, "disk_usage", disk.usage)
    return disk


@pytest.fixture(autouse=True)
def no_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of other tests, whose engines ended with jobs in their queues, do not count here."""
    monkeypatch.setattr(PROMISED, "_of_job", {})


def fill(part: PartialFile) -> None:
    with part.appending() as append:
        while True:
            append(bytes(65536))


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(65536)


def test_a_transfer_stops_before_the_reserve(tmp_path: Path, disk: Disk) -> None:
    part = PartialFile(tmp_path / ".part", ENDLESS)
    with pytest.raises(StorageFull, match="MiB are free"):
        fill(part)
    assert disk.usage(tmp_path).free >= RESERVE_BYTES
    assert part.received == 4 * MIB


@pytest.mark.parametrize("resumed", [False, True])
def test_clips_that_arrive_side_by_side_leave_the_reserve(
    tmp_path: Path, disk: Disk, resumed: bool
) -> None:
    uploads = Uploads(tmp_path / "uploads", ENDLESS)

    async def send(number: int) -> None:
        if resumed:
            await uploads.resume("me", f"{number:064x}", 0, MIB * 3, endless())
        await uploads.receive("me", endless())

    async def scenario() -> None:
        results = await asyncio.gather(*map(send, range(4)), return_exceptions=True)
        assert [type(result) for result in results] == [StorageFull] * 4

    asyncio.run(scenario())
    assert disk.usage(tmp_path).free >= RESERVE_BYTES


def test_what_a_job_will_write_is_not_given_away(tmp_path: Path, disk: Disk) -> None:
    check_room(tmp_path, 3 * MIB)
    PROMISED.make("a", tmp_path / "takes", 3 * MIB)
    with pytest.raises(StorageFull, match="accepted jobs"):
        check_room(tmp_path, 3 * MIB)
    check_room(tmp_path, MIB)
    PROMISED.keep("a")
    check_room(tmp_path, 3 * MIB)


def old(path: Path, age_s: float = 1e6) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps open files by itself")
def test_what_another_program_writes_stays_however_old(tmp_path: Path) -> None:
    theirs, left = old(tmp_path / ".a.wav.1.part"), old(tmp_path / "x" / ".b.part")
    script = (
        "import sys, pathlib\nfrom server.locks import holding\n"
        "with holding(pathlib.Path(sys.argv[1])): print(flush=True); sys.stdin.read()"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", script, str(theirs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert program.stdout is not None
    program.stdout.readline()
    assert remove_parts(tmp_path) == 1
    assert (theirs.exists(), left.exists()) == (True, False)
    program.kill()  # its lock ends with it
    program.communicate()
    assert remove_parts(tmp_path) == 1
    assert not theirs.exists()


def test_a_part_of_this_program_stays_while_it_is_held(tmp_path: Path) -> None:
    part = tmp_path / ".a.part"
    with holding(part):
        os.utime(old(part), (0, 0))
        assert remove_parts(tmp_path) == 0
    assert remove_parts(tmp_path) == 1


def test_stopped_transfers_and_their_previews_go_within_an_hour(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, ENDLESS)
    stopped = old(tmp_path / ".a.resume", LEFT_OVER_S + 1)
    going_on = old(tmp_path / ".b.resume", LEFT_OVER_S - 60)
    clip = old(tmp_path / "c.wav", LEFT_OVER_S + 1)
    theirs = old(tmp_path / ".previews" / "d.wav", LEFT_OVER_S - 60)
    assert uploads.retain(7 * 86400) == 1
    assert remove_parts(tmp_path) == 0
    assert (stopped.exists(), going_on.exists()) == (False, True)
    assert clip.exists()
    assert theirs.exists()
