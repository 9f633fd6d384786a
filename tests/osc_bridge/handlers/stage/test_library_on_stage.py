"""The sample library on the stage: the map, and sounds in the place of takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sample_folder import noise, tone
from stage_over_osc import Running, loaded, until

from osc_bridge.client.client import Client
from osc_bridge.daw import serve_library
from osc_bridge.service.client_table import Sender
from osc_bridge.stage.stage import Stage
from osc_bridge.wire.codec import OscMessage, decode, encode
from server.config import built_in_model
from server.sample_library.library import SampleLibrary
from server.worker.towers import ClapTowers

pytestmark = pytest.mark.integration
PLAYING = "/ldm/library/playing"
SET = """
name: Instant
tempo_bpm: 240
pads:
  - {name: bed, prompt: heavy rain, bars: 1, retrieve: true}
  - {name: hit, prompt: heavy rain, mode: one_shot, seconds: 0.3, quantise: none, retrieve: true}
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of two sounds, indexed once."""
    import asyncio

    folder = tmp_path_factory.mktemp("library")
    noise(folder / "sounds" / "hiss.wav", seconds=2.0)
    tone(folder / "sounds" / "beep.wav", 440.0)

    async def fill() -> None:
        library = SampleLibrary(folder / "index", built_in_model(), None)  # type: ignore
        try:
            await library.add(folder / "sounds")
            async with asyncio.timeout(120):
                while (await library.state()).folders[0].state != "indexed":
                    await asyncio.sleep(0.1)
        finally:
            await library.close()

    asyncio.run(fill())
    return folder


@pytest.fixture
def library(running: Running, stage: Stage, index: Path) -> Iterator[SampleLibrary]:
    towers = ClapTowers(built_in_model())

    async def made() -> SampleLibrary:
        return SampleLibrary(index / "index", built_in_model(), towers)

    library = running.run(made())
    handlers = running.call(serve_library, running.bridge, stage, library)
    yield library
    running.call(handlers.close)
    running.call(library.close)
    towers.close()


def test_a_sound_of_the_library_plays_until_the_take_follows_on_the_grid(
    library: SampleLibrary, opened: Client, running: Running, stage: Stage, index: Path
) -> None:
    opened.send("/ldm/transport/tempo", 240.0)
    opened.send("/ldm/library/find", "heavy rain", "limit", 1)  # loads the tower
    until(opened, lambda m: m.address == "/ldm/library/found", 60.0)
    running.engine.step_s = 0.4
    opened.send("/ldm/text", "a", "heavy rain", "retrieve", 1, "loop", 1, "num_inference_steps", 4)
    first = until(opened, lambda m: m.address == PLAYING, 30.0)
    assert first.arguments[:2] == ("a", "library")
    assert first.arguments[3] == str(index / "sounds" / "hiss.wav")
    then = until(opened, lambda m: m.address == PLAYING, 30.0)
    assert then.arguments[:2] == ("a", "generated")
    frame = int(then.arguments[4])
    line = stage.transport.map
    assert line.frame_of(line.next_multiple(frame - 2, 4.0)) == frame
    ended = until(opened, lambda m: m.arguments[:2] == (first.arguments[2], "ended"))
    assert ended.address == "/ldm/notify/voice"
    opened.send("/ldm/stop")
    running.engine.step_s = 0.0


def test_a_cancelled_take_ends_the_sound_in_its_place(
    library: SampleLibrary, opened: Client, running: Running
) -> None:
    running.engine.step_s = 1.0
    opened.send("/ldm/text", "b", "rain", "retrieve", 1, "loop", 1, "num_inference_steps", 100)
    first = until(opened, lambda m: m.address == PLAYING, 60.0)
    opened.send("/ldm/job/cancel", "b")
    until(opened, lambda m: m.arguments[:2] == (first.arguments[2], "ended"))
    running.engine.step_s = 0.0


def test_a_pad_plays_the_library_until_its_takes_are_there(
    library: SampleLibrary, opened: Client, running: Running, tmp_path: Path
) -> None:
    path = tmp_path / "instant.yaml"
    path.write_text(SET)
    running.call(running.engine.down.clear)
    opened.send("/ldm/live/load", str(path))
    state = until(opened, lambda m: m.arguments[:3:2] == (1, "ready"), 60.0)
    assert state.arguments[-1] == "library"
    opened.send("/ldm/pad/hit", 1)
    until(opened, lambda m: m.arguments[:3] == (1, "bed", "playing"))
    running.call(running.engine.down.set)
    left = {1, 2}  # in any order
    while left:
        done = until(opened, lambda m: m.arguments[-1:] == ("generated",), 30.0)
        left.discard(int(done.arguments[0]))


def test_a_pad_is_given_sounds_of_the_library_and_files(
    library: SampleLibrary, opened: Client, running: Running, tmp_path: Path
) -> None:
    loaded(opened, tmp_path)
    opened.send("/ldm/library/find", "", "limit", 2)
    found = until(opened, lambda m: m.address == "/ldm/library/sound", 60.0)
    number, path = found.arguments[:2]
    state = opened.query("/ldm/pad/sounds", "kick", number, str(path))
    assert state == (1, "kick", "ready", 2, 0, "", "library")
    opened.send("/ldm/pad/hit", "kick")
    until(opened, lambda m: m.arguments[:3] == (1, "kick", "playing"))
    opened.send("/ldm/pad/hit", "bed")
    until(opened, lambda m: m.arguments[:3] == (2, "bed", "playing"))
    assert opened.query("/ldm/pad/sounds", 2, float(number))[2:4] == ("playing", 1)
    opened.send("/ldm/pad/refresh", "kick")
    until(opened, lambda m: m.arguments[:2] == (1, "kick") and m.arguments[-1] == "generated")
    for sound, code in ((99, "not_found"), (0.5, "bad_request"), ("no.wav", "not_found")):
        opened.send("/ldm/pad/sounds", 1, sound)
        assert until(opened, lambda m: m.address == "/ldm/error").arguments[0] == code


def test_a_place_of_the_map_plays_its_sound_once(
    library: SampleLibrary, opened: Client, index: Path
) -> None:
    def next_played() -> str:
        played = until(opened, lambda m: m.address == "/ldm/map/playing", 60.0)
        return Path(str(played.arguments[1])).name

    opened.send("/ldm/map/xy", 0.0, 0.5)
    left = next_played()
    opened.send("/ldm/map/xy", 0.05, 0.5)
    opened.send("/ldm/map/xy", 1.0, 0.5)
    assert {left, next_played()} == {"hiss.wav", "beep.wav"}
    opened.send("/ldm/map/x", 0.0)
    assert next_played() == left
    opened.send("/ldm/map/xy", 0.0, 0.5, 0.0, "none", 1)
    assert next_played() == left


def test_strangers_play_neither_the_map_nor_the_library(
    library: SampleLibrary, running: Running
) -> None:
    answered = threading.Event()
    answers: list[OscMessage] = []

    def send(data: bytes) -> None:
        answers.append(decode(data)[0].message)
        if answers[-1].address in ("/ldm/error", "/ldm/job/fail"):
            answered.set()

    stranger = Sender("udp:192.0.2.1:9000", send, is_local=False)
    for message in (
        OscMessage("/ldm/map/xy", (0.5, 0.5)),
        OscMessage("/ldm/text", ("c", "rain", "retrieve", 1)),
    ):
        answered.clear()
        running.call(running.bridge.service.receive, encode(message), stranger)
        assert answered.wait(10)
        assert "forbidden" in answers[-1].arguments
