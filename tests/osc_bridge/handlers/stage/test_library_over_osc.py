"""The sample library through a socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stage_over_osc import Running

from osc_bridge.client.client import Client
from osc_bridge.daw import serve_library
from osc_bridge.messages.library import Find, Found, SoundReply
from osc_bridge.service.client_table import Sender
from osc_bridge.stage.stage import Stage
from osc_bridge.wire.codec import OscMessage, decode, encode
from server.config import built_in_model
from server.errors import InvalidRequest, NotFound
from server.sample_library.library import SampleLibrary
from server.sample_library.query import SampleSearch
from server.worker.towers import ClapTowers

pytestmark = pytest.mark.integration


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal(32000)
    soundfile.write(folder / "hiss.wav", noise, 16000)
    soundfile.write(folder / "beep.wav", 0.3 * np.sin(0.1727876 * np.arange(32000)), 16000)
    return folder


@pytest.fixture
def library(running: Running, stage: Stage, tmp_path: Path) -> Iterator[SampleLibrary]:
    towers = ClapTowers(built_in_model())

    async def made() -> SampleLibrary:
        return SampleLibrary(tmp_path / "index", built_in_model(), towers)

    library = running.run(made())
    handlers = running.call(serve_library, running.bridge, stage, library)
    yield library
    running.call(handlers.close)
    running.call(library.close)
    towers.close()


def test_a_folder_is_added_searched_paused_and_removed(
    library: SampleLibrary, client: Client, sounds: Path
) -> None:
    assert client.query("/ldm/library/add", str(sounds))[0] == str(sounds)
    until_indexed(client)
    client.send("/ldm/library/state")
    folder, listed = client.messages(1.0)
    assert folder.arguments == (str(sounds), "indexed", 2, 0)
    assert listed.arguments[:2] == (2, 0)
    client.send("/ldm/library/find", "heavy rain", "limit", 1.0)
    found, end = client.messages(8.0)
    assert found.address == SoundReply.address
    assert found.arguments[1:3] == (str(sounds / "hiss.wav"), 2.0)
    assert -1.0 <= found.arguments[-1] <= 1.0
    assert (end.address, end.arguments) == (Found.address, (1,))
    client.send("/ldm/library/find", "", "note", "A")
    assert [m.arguments[4:5] for m in client.messages(1.0)] == [("A4",), ()]
    assert client.query("/ldm/library/pause", str(sounds), 1)[1] == "paused"
    assert client.query("/ldm/library/remove", str(sounds)) == (str(sounds), "removed", 2, 0)
    with pytest.raises(NotFound, match="no folder of the library"):
        client.query("/ldm/library/pause", str(sounds))


def test_what_cannot_be_understood_is_refused_with_its_name(
    library: SampleLibrary, client: Client
) -> None:
    with pytest.raises(InvalidRequest, match=r"min_bpm must be .*got 'fast'"):
        client.query("/ldm/library/find", "rain", "min_bpm", "fast")
    with pytest.raises(InvalidRequest, match=r"limit must be at least 1 .got 0"):
        client.query("/ldm/library/find", "rain", "limit", 0)
    with pytest.raises(InvalidRequest, match="'colour' is no field"):
        client.query("/ldm/library/find", "rain", "colour", "red")
    with pytest.raises(InvalidRequest, match="has no partner"):
        client.query("/ldm/library/find", "rain", "limit")


def test_the_library_is_for_clients_on_this_machine(
    library: SampleLibrary, running: Running, sounds: Path
) -> None:
    answered = threading.Event()
    answers: list[OscMessage] = []

    def send(data: bytes) -> None:
        answers.append(decode(data)[0].message)
        answered.set()

    stranger = Sender("udp:192.0.2.1:9000", send, is_local=False)
    for command in ("add", "remove", "pause"):
        answered.clear()
        data = encode(OscMessage(f"/ldm/library/{command}", (str(sounds),)))
        running.call(running.bridge.service.receive, data, stranger)
        assert answered.wait(10)
    assert {m.address for m in answers} == {"/ldm/error"}
    assert {m.arguments[0] for m in answers} == {"forbidden"}


def test_a_search_is_the_same_message_when_it_is_sent_again() -> None:
    search = SampleSearch(query="rain", max_s=2.0, note="C#", limit=3)
    assert Find.from_osc(Find(search).to_osc().arguments).search == search


def until_indexed(client: Client) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        client.send("/ldm/library/state")
        folder, _ = client.messages(0.5)
        if folder.arguments[1] == "indexed":
            return
    raise AssertionError("it was not indexed within a minute")
