"""A file in pieces: resumed, limited in size, kept only with the right checksum."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from server.errors import InvalidRequest, StorageFull, TooLarge
from server.jobs.partial_file import PartialFile

DATA = os.urandom(10_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


def append(part: PartialFile, *pieces: bytes) -> None:
    with part.appending() as write:
        for piece in pieces:
            write(piece)


def test_it_goes_on_where_another_process_stopped(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".part"
    append(PartialFile(path, 20_000), DATA[:3000], DATA[3000:4000])

    async def resumed() -> PartialFile:
        part = await PartialFile.resume(path, 20_000)
        assert part.received == 4000
        append(part, DATA[4000:])
        await part.sync()
        return part

    part = asyncio.run(resumed())
    part.verify(SHA256)
    part.move_to(tmp_path / "whole")
    part.remove()
    assert (tmp_path / "whole").read_bytes() == DATA
    assert list(path.parent.iterdir()) == []


def test_where_nothing_arrived_it_begins(tmp_path: Path) -> None:
    part = asyncio.run(PartialFile.resume(tmp_path / ".part", 10))
    assert (part.received, part.sha256) == (0, hashlib.sha256().hexdigest())


def test_a_wrong_checksum_leaves_nothing(tmp_path: Path) -> None:
    part = PartialFile(tmp_path / ".part", 20_000)
    append(part, DATA[1:])
    with pytest.raises(InvalidRequest, match=f"the checksum is {part.sha256}, not {SHA256}"):
        part.verify(SHA256)
    assert list(tmp_path.iterdir()) == []


def test_more_than_is_accepted_leaves_nothing(tmp_path: Path) -> None:
    part = PartialFile(tmp_path / ".part", 9999)
    with pytest.raises(TooLarge, match="10000 bytes; at most 9999"):
        append(part, DATA[:9000], DATA[9000:])
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_said_to_be_full(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFull, match="cannot be kept"):
        append(PartialFile(tmp_path / "file" / ".part", 10), b"x")
    part = PartialFile(tmp_path / ".part", 10)
    append(part, b"x")
    with pytest.raises(StorageFull, match="cannot be kept"):
        part.move_to(tmp_path / "no such folder" / "whole")
    assert part.path.read_bytes() == b"x"
