"""Folders full of what is no sound, and a program that is killed while it indexes."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from indexed_library import indexed, library_in, until
from sample_folder import RATE, noise

from server.sample_library.library import LibraryState
from server.sample_library.query import SampleSearch

pytestmark = pytest.mark.integration
SUFFIXES = (".wav", ".aif", ".flac", ".ogg", ".mp3")
NAMES = (
    "a b",
    "%s%n",
    "'; DROP TABLE samples; --",
    "línea",
    "音",
    "a\nb",
    "-rf",
    "$(id)",
    "x" * 240,
)
MEMORY = 150 * 2**20
SOUNDS = 40
"""More than one batch."""
STOPPED = """
from osc_bridge.cli import main
from server.sample_library.store import Store

put, batches = Store.put, []

def stopping(store, samples):
    batches.append(samples)
    if len(batches) == 2:
        print("stopped", flush=True)
        input()
    put(store, samples)

Store.put = stopping
main()
"""


def test_what_is_no_sound_is_reported(tmp_path: Path) -> None:
    check_hostile(tmp_path, 200)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_10000_files_that_are_no_sounds_are_reported(tmp_path: Path) -> None:
    check_hostile(tmp_path, 10_000)


def check_hostile(folder: Path, count: int) -> None:
    """All files are indexed or reported, in bounded memory, while one of them changes."""
    sounds = folder / "sounds"
    good = fill(sounds, count)

    async def scenario() -> None:
        before = psutil.Process().memory_info().rss
        async with library_in(folder / "state") as library:
            with changing(sounds / "growing.wav"):
                await library.add(sounds)
                # A file that changes all the time leaves something to be indexed all the time.
                await until(library, partial(seen, count + 1), timeout_s=3600)
            state = await until(library, indexed, timeout_s=600)
            problems = await library.problems(sounds)
            # Some cut files can be read up to where they end.
            assert state.sounds >= good
            assert good <= state.sounds <= count + 1
            assert state.sounds + len(problems) == count + 1
            assert all(problem.reason for problem in problems)
            found = await library.search(SampleSearch(query="heavy rain", limit=10))
            assert len(found) == 10
        assert psutil.Process().memory_info().rss - before < MEMORY

    asyncio.run(scenario())


def seen(count: int, state: LibraryState) -> bool:
    """Whether that many files are indexed or reported."""
    return sum(folder.sounds + folder.problems for folder in state.folders) >= count


def fill(folder: Path, count: int) -> int:
    """Random, cut, mislabelled and good files, a fifth of them good; returns how many are."""
    chance, whole = random.Random(7), examples(folder.parent)
    folder.mkdir()
    good = 0
    for number in range(count):
        suffix = chance.choice(SUFFIXES)
        path = folder / f"{number} {chance.choice(NAMES)}{suffix}"
        if number % 7 == 0:
            path = Path(os.fsdecode(os.fsencode(folder) + b"/%d \xff\xfe.wav" % number))
            suffix = ".wav"
        data = whole[suffix]
        match number % 5:
            case 0:
                good += 1
            case 1:
                data = chance.randbytes(chance.randrange(1, 5000))
            case 2:
                data = data[: chance.randrange(1, len(data) // 2)]
            case 3:
                data = whole[chance.choice(SUFFIXES)]
            case 4:
                at = chance.randrange(4, len(data) - 4)
                data = data[:at] + chance.randbytes(4) + data[at + 4 :]
        path.write_bytes(data)
    return good


def examples(folder: Path) -> dict[str, bytes]:
    """Half a second of noise in each format."""
    samples = 0.1 * np.random.default_rng(0).standard_normal(RATE // 2)
    formats = dict(zip(SUFFIXES, ("WAV", "AIFF", "FLAC", "OGG", "MP3"), strict=True))
    for suffix, name in formats.items():
        soundfile.write(folder / f"example{suffix}", samples, RATE, format=name)
    return {suffix: (folder / f"example{suffix}").read_bytes() for suffix in SUFFIXES}


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """A file that grows all the time."""
    noise(path, seconds=0.5)
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab") as file:
            while not stop.wait(0.05):
                file.write(bytes(1000))
                file.flush()

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_indexing_goes_on_after_a_kill(tmp_path: Path) -> None:
    sounds, state = tmp_path / "sounds", tmp_path / "state"
    for number in range(SOUNDS):
        noise(sounds / f"{number}.wav", number, seconds=0.5)
    killed_in_second_batch("library", "add", sounds, "--state-folder", state, "--http-port", 1)

    async def scenario() -> None:
        async with library_in(state) as library:
            assert 0 < (await library.state()).sounds < SOUNDS
            before = {s.path: s.row for s, _ in await library.search(SampleSearch(limit=500))}
            await until(library, lambda now: now.sounds == SOUNDS and indexed(now))
            found = await library.search(SampleSearch(query="rain", limit=500))
            rows = {sample.path: sample.row for sample, _ in found}
            assert len(rows) == len({*rows.values()}) == SOUNDS
            assert before.items() <= rows.items()  # nothing was listened to twice
            assert min(similarity or 0.0 for _, similarity in found) > 0.0
            assert (await library.problems(sounds)) == []

    asyncio.run(scenario())


def killed_in_second_batch(*arguments: object) -> None:
    """Run ``audioldm-daw`` and kill it when a second batch's embeddings are in the matrix only."""
    command = (sys.executable, "-c", STOPPED, *map(str, arguments))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"stopped"
        children = psutil.Process(process.pid).children()
        process.kill()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
