"""OSC over UDP from other machines: little is sent to an address that nobody has proved."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.messages.addresses import TABLE
from osc_bridge.messages.requests.submissions import Submission
from osc_bridge.messages.server import Cookie
from osc_bridge.service.address_proof import AMPLIFICATION, HELD_BYTES, AddressProofs
from osc_bridge.wire.codec import OscMessage, decode, encode, encode_bundle

pytestmark = pytest.mark.integration

Running = RunningBridge[MemoryEngine]


@pytest.fixture(autouse=True)
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders on loopback count as other machines."""
    monkeypatch.setattr("osc_bridge.service.udp.is_loopback", lambda host: False)


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(0.3)
        yield peer


def arrived(peer: socket.socket) -> list[bytes]:
    packets = []
    try:
        while True:
            packets.append(peer.recv(65536))
    except TimeoutError:
        return packets


def asked(bridge: Running, peer: socket.socket, *packets: bytes) -> list[bytes]:
    for packet in packets:
        peer.sendto(packet, ("127.0.0.1", bridge.port))
    return arrived(peer)


def addresses(packets: list[bytes]) -> list[str]:
    return [decode(packet)[0].message.address for packet in packets]


def questions() -> Iterator[bytes]:
    """Every address, asked as briefly as it goes, and neighbours that answer at length."""
    for command in TABLE.commands:
        yield encode(OscMessage(command.address))
        if issubclass(command, Submission):
            yield encode(OscMessage(command.address, ("a", "rain")))
    yield encode_bundle([OscMessage("/ldm/help")] * 100)
    yield encode_bundle(
        [OscMessage("/ldm/help", ("reply_port", 20_000 + port)) for port in range(100)]
    )
    yield encode(OscMessage("/ldm/notify", (1,)))
    yield encode(OscMessage("/x"))
    yield b"/"


@pytest.mark.parametrize("times", [1, 5])
def test_at_most_twice_as_much_comes_back(bridge: Running, peer: socket.socket, times: int) -> None:
    packets = list(questions()) * times
    sent = sum(map(len, packets))
    answers = asked(bridge, peer, *packets)
    assert 0 < sum(map(len, answers)) <= AMPLIFICATION * sent


@pytest.mark.parametrize("address", ["/ldm/help", "/ldm/status", "/ldm/list", "/ldm/model"])
def test_no_single_question_gets_more(bridge: Running, peer: socket.socket, address: str) -> None:
    question = encode(OscMessage(address))
    answers = asked(bridge, peer, question)
    assert sum(map(len, answers)) <= AMPLIFICATION * len(question)


def test_a_cookie_that_comes_back_brings_the_answers(bridge: Running, peer: socket.socket) -> None:
    answers = asked(bridge, peer, encode(OscMessage("/ldm/text", ("a", "rain"))))
    assert "/ldm/job/done" not in addresses(answers)
    cookie = decode(answers[-1])[0].message
    assert cookie.address == "/ldm/cookie"
    proof = encode(OscMessage("/ldm/prove", cookie.arguments))
    answers += asked(bridge, peer, proof)
    heard = addresses(answers)
    assert heard[-1] == "/ldm/proved"
    assert [a for a in heard if a.startswith("/ldm/job/") or a == "/ldm/take"][-1] == (
        "/ldm/job/done"
    )
    assert len(asked(bridge, peer, encode(OscMessage("/ldm/help")))) == len(TABLE.commands)


def test_a_wrong_cookie_proves_nothing(bridge: Running, peer: socket.socket) -> None:
    for wrong in ("", "0" * 7, "é"):
        answers = asked(bridge, peer, encode(OscMessage("/ldm/prove", (wrong,))))
        assert "/ldm/proved" not in addresses(answers)
    assert len(asked(bridge, peer, encode(OscMessage("/ldm/help")))) <= 2


def test_pings_and_short_answers_need_no_proof(bridge: Running, peer: socket.socket) -> None:
    for number in range(20):
        answers = asked(bridge, peer, encode(OscMessage("/ldm/ping", (number,))))
        assert decode(answers[0])[0].message == OscMessage("/ldm/pong", (number,))


@pytest.mark.parametrize("way", ["tcp", "oscquery"])
def test_a_connection_is_a_proof(bridge: Running, peer: socket.socket, way: str) -> None:
    port = bridge.port if way == "tcp" else bridge.http_port
    with socket.create_connection(("127.0.0.1", port)) as connection:
        if way == "oscquery":
            connection.sendall(b"GET /ldm HTTP/1.1\r\nHost: x\r\n\r\n")
        else:
            ping = encode(OscMessage("/ldm/ping"))
            connection.sendall(len(ping).to_bytes(4, "big") + ping)
        connection.recv(100)
        answers = asked(bridge, peer, encode(OscMessage("/ldm/help")))
    assert len(answers) == len(TABLE.commands)


def test_the_python_client_proves_itself(bridge: Running) -> None:
    with bridge.client() as client:
        assert client.query("/ldm/status", timeout_s=5)
        assert client.render("rain")
        path = client.render("rain", request_id="b")[0].path
        assert client.download(path)


def test_lists_to_many_ports_of_one_machine_are_refused(
    bridge: Running, monkeypatch: pytest.MonkeyPatch, peer: socket.socket
) -> None:
    monkeypatch.setattr("osc_bridge.service.udp.is_loopback", lambda host: True)
    port = peer.getsockname()[1]
    others = [OscMessage("/ldm/help", ("reply_port", 20_000 + n)) for n in range(100)]
    bundle = encode_bundle([*others, OscMessage("/ldm/help", ("reply_port", port))])
    answers = asked(bridge, peer, bundle)
    assert addresses(answers) == ["/ldm/error"]


def test_what_is_held_is_bounded_and_hosts_are_forgotten() -> None:
    proofs, sent = AddressProofs(), [0]

    def transmit(packet: bytes) -> None:
        sent[0] += len(packet)

    for _ in range(1000):
        proofs.received("192.0.2.1", 16)
        proofs.send("192.0.2.1", b"x" * 500, transmit)
    assert sent[0] <= AMPLIFICATION * 16_000
    for number in range(10_000):
        proofs.received(f"host {number}", 8)
        proofs.send(f"host {number}", b"x" * 500, transmit)
    assert len(proofs._unproved) <= 4096
    before = sent[0]
    proofs.received("192.0.2.2", 16)
    for _ in range(100):
        proofs.send("192.0.2.2", b"y" * 500, transmit)
    asked_for = len(encode(Cookie("x" * 7).to_osc()))
    assert sent[0] - before == asked_for
    assert not proofs.prove("192.0.2.2", proofs.cookie("192.0.2.3"))
    assert proofs.prove("192.0.2.2", proofs.cookie("192.0.2.2"))
    assert HELD_BYTES - 500 < sent[0] - before - asked_for <= HELD_BYTES
