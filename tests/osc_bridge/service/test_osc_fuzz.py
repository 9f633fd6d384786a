"""Hostile datagrams while a job renders: pings are answered, the job ends, nothing escapes."""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from daw_process import quiet_settings, running_daw
from hostile import Hostile

from osc_bridge.client.client import Client, FinishedTake
from osc_bridge.messages.server import StatusReply
from osc_bridge.wire.codec import OscMessage, decode, encode
from server.errors import EngineUnavailable

pytestmark = pytest.mark.integration

BURST = 50


@pytest.fixture
def port(tiny_folder: Path, tmp_path: Path) -> Iterator[int]:
    """The OSC port of the whole program, in its own process; it may log no internal error."""
    settings = (*quiet_settings(tiny_folder, tmp_path / "inside"), "--max-queued", "5000")
    log = tmp_path / "inside.log"
    with running_daw(*settings, errors=log) as (process, port, _):
        yield port
        assert process.poll() is None
        process.terminate()
        assert process.wait(60) == 0
    assert "Traceback" not in log.read_text()


class Pinger:
    """Asks all the time, from a process of its own, and keeps how long each answer took."""

    def __init__(self, port: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._stop = spawn.Event()
        self._answers, theirs = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=ping, args=(port, self._stop, theirs))
        self.seconds: list[float] = []

    def __enter__(self) -> Pinger:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._answers.poll(60)
        self.seconds = self._answers.recv()
        self._process.join(60)
        assert self._process.exitcode == 0

    def report(self) -> str:
        ordered = sorted(self.seconds)
        at = [ordered[int(len(ordered) * share)] * 1e3 for share in (0.5, 0.99)]
        late = sum(seconds > 0.05 for seconds in ordered)
        return (
            f"{len(ordered)} pings: p50 {at[0]:.2f} ms, p99 {at[1]:.2f} ms, "
            f"max {ordered[-1] * 1e3:.2f} ms, {late} above 50 ms"
        )


def ping(port: int, stop: Event, answers: Connection) -> None:
    seconds = []
    with Client(port=port, transport="tcp", timeout_s=30) as client:
        while not stop.wait(0.01):
            asked_s = time.perf_counter()
            assert client.query("/ldm/ping", 5) == (5,)
            seconds.append(time.perf_counter() - asked_s)
    answers.send(seconds)


def flood(port: int, hostile: Hostile, num_datagrams: int) -> None:
    """Send in bursts that the socket buffer can hold, each followed by a ping that must return."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        for number in range(0, num_datagrams, BURST):
            num_bytes = 0
            for _ in range(BURST):
                data = hostile.datagram()
                sender.send(data)
                num_bytes += len(data)
                if num_bytes > 50_000:
                    drain(sender, number)
                    num_bytes = 0
            drain(sender, number)


def drain(sender: socket.socket, token: int) -> None:
    """Return when the server has come to the end of what was sent."""
    pong = OscMessage("/ldm/pong", (token + 1000,))
    sender.settimeout(1.0)
    for _ in range(60):
        sender.send(encode(OscMessage("/ldm/ping", (token + 1000,))))
        again_s = time.monotonic() + 1.0
        try:
            # Some hostile datagrams subscribe: there may be no end to what arrives here.
            while time.monotonic() < again_s:
                if decode(sender.recv(65536))[0].message == pong:
                    return
        except TimeoutError:  # our own inbox may have overflowed with answers
            continue
    raise AssertionError("a ping was not answered for a minute")


class Rendering(threading.Thread):
    """One render after the other; each must end well."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._enough = threading.Event()
        self.takes: list[FinishedTake] = []

    def run(self) -> None:
        with Client(port=self._port, timeout_s=60) as client:
            while not self._enough.is_set():
                self.takes += client.render(
                    "low hum", num_inference_steps=400, audio_length_in_s=1.0, timeout_s=120
                )

    def finish(self) -> None:
        self._enough.set()
        self.join(240)
        assert not self.is_alive()


def survive(port: int, tmp_path: Path, num_datagrams: int) -> str:
    outside = tmp_path / "outside"
    outside.mkdir()
    renders = Rendering(port)
    renders.start()
    with Pinger(port) as pinger:
        try:
            flood(port, Hostile(7, outside), num_datagrams)
        finally:
            renders.finish()
    with Client(port=port) as client:
        status = StatusReply(*client.query("/ldm/status"))
    assert status.received >= num_datagrams
    assert status.refused > num_datagrams / 3
    assert renders.takes
    assert all(take.path.is_file() for take in renders.takes)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("inside", "inside.log", "outside")
    ]
    assert sorted(path.name for path in (tmp_path / "inside").iterdir()) == ["state", "takes"]
    assert list(outside.iterdir()) == []
    return f"{num_datagrams} datagrams, {len(renders.takes)} renders, {pinger.report()}"


def test_five_thousand_hostile_datagrams_while_jobs_render(port: int, tmp_path: Path) -> None:
    print(survive(port, tmp_path, 5_000))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_hostile_datagrams_while_jobs_render(port: int, tmp_path: Path) -> None:
    print(survive(port, tmp_path, 100_000))


def test_hostile_streams(port: int, tmp_path: Path) -> None:
    hostile = Hostile(11, tmp_path / "outside")
    for number in range(200):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
            start = (b"\xc0", b"", b"\0\0\0\x20")[number % 3]
            peer.sendall(start + hostile.datagram())
    deadline = time.monotonic() + 60
    while connections(port) != 1:
        assert time.monotonic() < deadline


def connections(port: int) -> int:
    """How many are open, this one included; 0 while there are so many that this one is refused."""
    try:
        with Client(port=port, transport="tcp") as client:
            return int(client.query("/ldm/status")[6])
    except EngineUnavailable:
        return 0
