"""OSC over TCP: both framings on one port, and peers that mean no good."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from memory_engine import MemoryEngine
from pythonosc.tcp_client import SimpleTCPClient
from running_bridge import RunningBridge, running_bridge

from osc_bridge.service.service import Service
from osc_bridge.service.tcp import MAX_CONNECTIONS, MAX_UNREAD
from osc_bridge.service.udp import UdpServer
from osc_bridge.wire.codec import OscMessage, decode, encode
from osc_bridge.wire.framing import MAX_FRAME, Framing, LengthFraming, SlipFraming
from server.errors import DeviceError
from server.model.manifest import Manifest

pytestmark = pytest.mark.integration

Running = RunningBridge[MemoryEngine]
PING = encode(OscMessage("/ldm/ping", (7,)))


@contextlib.contextmanager
def connection(bridge: Running) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", bridge.port), timeout=10) as peer:
        yield peer


def answer(peer: socket.socket, framing: Framing) -> OscMessage:
    packets: list[bytes] = []
    while not packets:
        data = peer.recv(65536)
        assert data, "hung up"
        packets = framing.feed(data)
    return decode(packets[0])[0].message


def ended(peer: socket.socket) -> bool:
    """True when the server has hung up."""
    with contextlib.suppress(ConnectionError):
        while peer.recv(65536):
            pass
    return True


@pytest.mark.parametrize("framing", [LengthFraming, SlipFraming])
def test_the_answer_comes_in_the_framing_of_the_question(
    bridge: Running, framing: type[LengthFraming | SlipFraming]
) -> None:
    with connection(bridge) as peer:
        data = framing.frame(PING)
        for at in range(len(data)):
            peer.sendall(data[at : at + 1])
        assert answer(peer, framing()) == OscMessage("/ldm/pong", (7,))


@pytest.mark.parametrize("mode", ["1.0", "1.1"])
def test_python_oscs_client_is_answered(bridge: Running, mode: str) -> None:
    client = SimpleTCPClient("127.0.0.1", bridge.port, mode=mode)
    try:
        client.send_message("/ldm/ping", 7)
        message = next(client.get_messages(10))
    finally:
        client.close()
    assert (message.address, message.params) == ("/ldm/pong", [7])


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + SlipFraming.frame(PING),
        b"\x00\xff\xff\xff/x",
        struct.pack(">i", 0),
        b"\xc0/ldm\xdb\x01\xc0",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_who_speaks_no_osc_is_cut_off_and_told_nothing_secret(bridge: Running, data: bytes) -> None:
    with connection(bridge) as peer:
        peer.sendall(data)
        assert ended(peer)
    assert bridge.engine.jobs() == []
    with bridge.client("tcp") as client:
        assert client.query("/ldm/ping", 1) == (1,)


def test_a_packet_without_end_is_cut_off(bridge: Running) -> None:
    with connection(bridge) as peer:
        peer.sendall(b"\xc0")
        with contextlib.suppress(ConnectionError):
            for _ in range(4):
                peer.sendall(b"x" * MAX_FRAME)
        assert ended(peer)


@pytest.mark.slow  # ten thousand listings of the whole table
def test_who_never_reads_is_cut_off(bridge: Running) -> None:
    with connection(bridge) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        everything = LengthFraming.frame(encode(OscMessage("/ldm/help"))) * 50
        with contextlib.suppress(ConnectionError, TimeoutError):
            peer.settimeout(2)
            for _ in range(200):
                peer.sendall(everything)
        with bridge.client() as client:
            while bridge.call(lambda: len(bridge.bridge.tcp.connections)):
                assert client.query("/ldm/ping", timeout_s=30) == (0,)


def pong(peer: socket.socket) -> bool:
    peer.sendall(LengthFraming.frame(PING))
    return answer(peer, LengthFraming()) == OscMessage("/ldm/pong", (7,))


def test_idle_connections_lock_nobody_out(bridge: Running) -> None:
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(connection(bridge)) for _ in range(MAX_CONNECTIONS)]
        assert pong(peers[0])
        more = [stack.enter_context(connection(bridge)) for _ in range(3)]
        assert all(map(pong, more))
        # The three that never spoke, for the longest time.
        assert all(map(ended, peers[1:4]))
        assert pong(peers[0])
        assert pong(peers[-1])
        assert bridge.call(lambda: len(bridge.bridge.tcp.connections)) == MAX_CONNECTIONS


def test_those_that_wait_for_something_go_last(bridge: Running) -> None:
    notify = LengthFraming.frame(encode(OscMessage("/ldm/notify", (1,))))
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(connection(bridge)) for _ in range(MAX_CONNECTIONS)]
        peers[0].sendall(notify)
        assert answer(peers[0], LengthFraming()).address == "/ldm/notified"
        assert all(map(pong, peers[1:]))
        more = [stack.enter_context(connection(bridge)) for _ in range(5)]
        assert all(map(pong, more))
        assert all(map(ended, peers[1:6]))
        assert pong(peers[0])


def test_who_does_not_read_holds_up_only_itself(bridge: Running) -> None:
    with connection(bridge) as peer, bridge.client() as client:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.settimeout(0.5)
        questions = LengthFraming.frame(encode(OscMessage("/ldm/help", ("/ldm/text",)))) * 1000
        with contextlib.suppress(TimeoutError):
            for _ in range(200):
                peer.sendall(questions)
        begun = time.monotonic()
        assert client.query("/ldm/ping", 3) == (3,)
        assert time.monotonic() - begun < 0.5
        (held,) = bridge.call(lambda: tuple(bridge.bridge.tcp.connections))
        assert held._transport.get_write_buffer_size() < MAX_UNREAD + MAX_FRAME
        assert len(held._packets) < 20_000


def test_a_free_port_is_free_for_udp_and_tcp(
    tiny_folder: Path, takes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        ports = [busy.getsockname()[1]]
        opened = UdpServer.open

        async def open_one(service: Service, host: str, port: int) -> UdpServer:
            return await opened(service, host, ports.pop() if ports else port)

        monkeypatch.setattr(UdpServer, "open", open_one)
        with running_bridge(MemoryEngine(Manifest.load(tiny_folder), takes), takes) as bridge:
            assert bridge.port != busy.getsockname()[1]
            for transport in ("udp", "tcp"):
                with bridge.client(transport) as client:
                    assert client.query("/ldm/ping", 1) == (1,)


def test_a_port_that_is_taken_is_named(tiny_folder: Path, takes: Path) -> None:
    engine = MemoryEngine(Manifest.load(tiny_folder), takes)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with (
            pytest.raises(DeviceError, match=f"TCP 127.0.0.1:{port} cannot be opened"),
            running_bridge(engine, takes, port),
        ):
            pass
