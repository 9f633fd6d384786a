"""The sample library with the built-in model: index, stop, go on, change, move, delete."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from pathlib import Path

import pytest
from indexed_library import indexed, library_in, until
from sample_folder import noise, tone

from server.errors import Conflict, InvalidRequest, NotFound
from server.sample_library.catalogue import Catalogue
from server.sample_library.library import SampleLibrary
from server.sample_library.query import SampleSearch

pytestmark = pytest.mark.integration


async def names(library: SampleLibrary, search: SampleSearch) -> list[str]:
    return [sample.path.name for sample, _ in await library.search(search)]


def test_words_and_conditions_find_sounds_and_a_restart_keeps_them(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    noise(sounds / "hiss.wav", seconds=3.0)
    tone(sounds / "deep" / "beep 120bpm loop.flac", seconds=2.0)

    async def first() -> None:
        async with library_in(tmp_path / "state") as library:
            await library.add(sounds)
            state = await until(library, indexed)
            assert (state.sounds, state.folders[0].problems) == (2, 0)

    async def second() -> None:
        async with library_in(tmp_path / "state") as library:
            await until(library, indexed)
            rain = await library.search(SampleSearch(query="heavy rain"))
            assert rain[0][0].path.name == "hiss.wav"
            assert (rain[0][1] or 0.0) > (rain[1][1] or 0.0)
            without = SampleSearch(query="heavy rain:-1", limit=1)
            assert await names(library, without) == ["beep 120bpm loop.flac"]
            assert await names(library, SampleSearch(note="A")) == ["beep 120bpm loop.flac"]
            assert await names(library, SampleSearch(min_bpm=110)) == ["beep 120bpm loop.flac"]
            assert await names(library, SampleSearch(character="loop", max_s=2.5)) != []
            assert await names(library, SampleSearch(min_s=2.5)) == ["hiss.wav"]
            like = SampleSearch(like=str(sounds / "hiss.wav"), limit=1)
            assert await names(library, like) == ["hiss.wav"]
            typical = SampleSearch(like=str(sounds / "deep"), limit=1)
            assert await names(library, typical) == ["beep 120bpm loop.flac"]
            assert len(await library.search(SampleSearch(like=str(sounds)))) == 2
            with pytest.raises(NotFound, match="holds no sound of the library"):
                await library.search(SampleSearch(like=str(tmp_path / "state")))
            with pytest.raises(NotFound, match="no folder of the library"):
                await library.search(SampleSearch(folder="/nowhere"))

    asyncio.run(first())
    asyncio.run(second())


def test_changes_are_seen_while_it_runs(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    for number in range(3):
        noise(sounds / f"{number}.wav", number)

    async def scenario() -> None:
        async with library_in(tmp_path / "state") as library:
            await library.add(sounds)
            await until(library, lambda state: state.sounds == 3 and indexed(state))
            before = {s.path.name: s for s, _ in await library.search(SampleSearch())}
            (sounds / "inner").mkdir()
            (sounds / "0.wav").rename(sounds / "inner" / "moved.wav")
            (sounds / "1.wav").unlink()
            tone(sounds / "2.wav")
            tone(sounds / "new.wav", 220.0)
            (sounds / os.fsdecode(b"\xff\xfe.wav")).write_bytes((sounds / "2.wav").read_bytes())
            after = before
            async with asyncio.timeout(120):
                while after.keys() != {
                    "moved.wav",
                    "2.wav",
                    "new.wav",
                    os.fsdecode(b"\xff\xfe.wav"),
                }:
                    await asyncio.sleep(0.1)
                    after = {s.path.name: s for s, _ in await library.search(SampleSearch())}
            assert after["moved.wav"].row == before["0.wav"].row
            assert after["2.wav"].about != before["2.wav"].about

    asyncio.run(scenario())


def test_a_folder_is_paused_removed_and_missing(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    for number in range(4):
        noise(sounds / f"{number}.wav", number)

    async def scenario() -> None:
        async with library_in(tmp_path / "state") as library:
            await library.add(sounds)
            paused = await library.pause(sounds, True)
            assert paused.state == "paused"
            await asyncio.sleep(0.3)
            held = (await library.state()).sounds
            await library.pause(sounds, False)
            await until(library, lambda state: state.sounds == 4 and indexed(state))
            assert held < 4
            with pytest.raises(InvalidRequest, match="overlaps"):
                await library.add(tmp_path)
            sounds.rename(tmp_path / "elsewhere")
            await library.pause(sounds, False)
            state = await until(library, lambda state: state.folders[0].state == "missing")
            assert state.sounds == 4  # a disk that is away may come back
            assert await library.remove(sounds) == 4
            assert (await library.state()).sounds == 0
            with pytest.raises(NotFound):
                await library.remove(sounds)

    asyncio.run(scenario())


def test_nothing_outside_of_a_folder_is_read_and_bad_files_are_reported(tmp_path: Path) -> None:
    sounds, outside = tmp_path / "sounds", tmp_path / "outside"
    noise(sounds / "good.wav")
    noise(outside / "secret.wav")
    (sounds / "link.wav").symlink_to(outside / "secret.wav")
    (sounds / "linked").symlink_to(outside)
    os.mkfifo(sounds / "pipe.wav")
    (sounds / "empty.wav").touch()
    chance = random.Random(0)
    for number in range(20):
        (sounds / f"random{number}.wav").write_bytes(chance.randbytes(4000))
    whole = (sounds / "good.wav").read_bytes()
    (sounds / "cut.flac").write_bytes(whole[:1000])
    (sounds / os.fsdecode(b"na\xefve \xff.wav")).write_bytes(whole)
    (sounds / "readme.txt").write_text("no sound")

    async def scenario() -> None:
        async with library_in(tmp_path / "state") as library:
            await library.add(sounds)
            state = await until(library, indexed)
            assert state.sounds >= 2
            problems = {p.path.name: p.reason for p in await library.problems(sounds)}
            assert problems["link.wav"].startswith("a link")
            assert problems["linked"].startswith("a link")
            assert problems["pipe.wav"] == "no regular file"
            assert problems["empty.wav"] == "empty"
            assert sum(name.startswith("random") for name in problems) == 20
            found = [sample.path for sample, _ in await library.search(SampleSearch())]
            assert not any(path.is_relative_to(outside) for path in found)

    asyncio.run(scenario())


def test_a_second_program_is_told_that_the_library_is_in_use(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path, "tower", 8)
    with pytest.raises(Conflict, match="in use"):
        Catalogue(tmp_path, "tower", 8)
    catalogue.close()


def test_another_tower_hears_everything_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    noise(tmp_path / "sounds" / "hiss.wav")

    async def scenario() -> None:
        async with library_in(state) as library:
            await library.add(tmp_path / "sounds")
            await until(library, lambda state: state.sounds == 1)

    asyncio.run(scenario())
    other = Catalogue(state, "another tower", 8)
    assert len(other) == 0
    assert [folder.path for folder in other.folders()] == [tmp_path / "sounds"]
    other.close()
    shutil.rmtree(state)
