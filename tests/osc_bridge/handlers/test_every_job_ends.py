"""Every job that was received ends: done, or one fail, also in a flood and at the end."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hearing import addresses
from memory_engine import MemoryEngine
from running_bridge import RunningBridge, running_bridge

from osc_bridge.client.client import Client
from osc_bridge.wire.codec import OscMessage, decode, encode
from server.model.manifest import Manifest

pytestmark = pytest.mark.integration

Running = RunningBridge[MemoryEngine]
JOBS = 1000


class Flood:
    """A client that sends without waiting, and reads all answers meanwhile."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(3.0)
        self.heard: list[OscMessage] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def send(self, address: str, *arguments: Any) -> None:
        self._socket.send(encode(OscMessage(address, arguments)))

    def close(self) -> None:
        self._reader.join(60)
        self._socket.close()

    def _read(self) -> None:
        while True:
            try:
                packet = self._socket.recv(65536)
            except TimeoutError:
                return
            self.heard += [packet.message for packet in decode(packet)]

    def ids(self, *wanted: str) -> Counter[str]:
        """How often each request id came with one of these addresses."""
        return Counter(m.arguments[0] for m in self.heard if m.address in wanted)


@pytest.mark.parametrize("prompt", ["rain", ""])
def test_a_thousand_jobs_at_once_end_once_each(bridge: Running, prompt: str) -> None:
    bridge.engine.automatic = False
    bridge.engine.refuse_beyond(4)
    flood = Flood(bridge.port)
    for number in range(JOBS):
        flood.send("/ldm/text", f"n{number}", prompt)
    flood.close()
    received, ends = flood.ids("/ldm/job/received"), flood.ids("/ldm/job/done", "/ldm/job/fail")
    waiting = flood.ids("/ldm/job/accepted")
    assert set(received) <= set(ends) | set(waiting)
    assert set(ends.values()) == {1}
    # What the kernel has dropped was never received.
    assert len(ends) + len(waiting) > JOBS // 2
    assert len(waiting) == (4 if prompt else 0)


def test_what_is_still_being_accepted_at_the_end_fails(
    tiny_folder: Path, takes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    engine = MemoryEngine(Manifest.load(tiny_folder), takes)
    monkeypatch.setattr(engine, "submit", never)
    with running_bridge(engine, takes) as running, running.client() as client:
        for number in range(3):
            client.send("/ldm/text", f"n{number}", "rain")
        for _ in range(3):
            message = client.receive(5)
            assert message is not None
            assert message.address == "/ldm/job/received"
        running.call(running.bridge.__aexit__, None, None, None)
        fails = list(client.messages(0.5))
    assert addresses(fails) == ["/ldm/job/fail"] * 3
    assert {m.arguments[0] for m in fails} == {"n0", "n1", "n2"}
    assert {m.arguments[2] for m in fails} == {"unavailable"}


def test_a_button_that_is_refused_fails_without_an_id(client: Client) -> None:
    client.send("/ldm/press/text", 1)
    (fail,) = client.messages(0.3)
    assert fail.address == "/ldm/job/fail"
    assert fail.arguments[:3] == ("", "", "bad_request")
