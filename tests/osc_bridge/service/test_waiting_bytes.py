"""What waits is counted in bytes: no client fills the memory with things for later."""

from __future__ import annotations

import asyncio
import time
import tracemalloc

import pytest
from hearing import heard
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.client.client import Client
from osc_bridge.messages.addresses import TABLE
from osc_bridge.messages.requests.generated import SUBMISSIONS
from osc_bridge.oscquery.subscriber import Subscriber
from osc_bridge.service.bundles import MAX_BYTES, MAX_BYTES_A_CLIENT, BundleScheduler
from osc_bridge.service.client_table import (
    MAX_OUTSTANDING_BYTES,
    MAX_SYNCS,
    KnownClient,
    Sender,
)
from osc_bridge.service.inbox import Inbox
from osc_bridge.service.service import Service
from osc_bridge.wire.codec import OscMessage, Packet, decode, encode_bundle
from osc_bridge.wire.framing import MAX_FRAME
from server.errors import InvalidRequest, QueueFull

Running = RunningBridge[MemoryEngine]
LARGE = "x" * 1_000_000
MIB = 2**20


def sender(key: str) -> Sender:
    return Sender(key, lambda data: None)


def test_bundles_to_come_are_counted_for_each_client_and_together() -> None:
    async def scenario() -> None:
        scheduler = BundleScheduler()
        due: list[str] = []

        def put(client: str, ahead_s: float = 600.0) -> None:
            scheduler.at(time.time() + ahead_s, lambda: due.append(client), client, MIB)

        put("a", 0.05)
        for _ in range(MAX_BYTES_A_CLIENT // MIB - 1):
            put("a")
        with pytest.raises(QueueFull, match="8 MiB"):
            put("a")
        put("b")  # others are not concerned
        await asyncio.sleep(0.2)
        assert due == ["a"]
        put("a")  # what was executed does not count
        for number in range((MAX_BYTES - MAX_BYTES_A_CLIENT) // MIB - 1):
            put(f"c{number}")
        with pytest.raises(QueueFull, match="32 MiB"):
            put("d")
        scheduler.close()
        for _ in range(8):
            put("d")
        scheduler.close()

    asyncio.run(scenario())


def test_the_service_holds_so_much_and_says_so() -> None:
    """As over TCP, where a bundle has a mebibyte."""

    async def scenario() -> None:
        service = Service()
        replies: list[OscMessage] = []
        client = Sender("a", lambda data: replies.extend(p.message for p in decode(data)))
        bundle = encode_bundle([OscMessage("/ldm/ping", [LARGE])], time.time() + 600)
        tracemalloc.start()
        for _ in range(200):
            service.receive(bundle, client, MAX_FRAME)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < MAX_BYTES_A_CLIENT + 4 * MIB
        assert {message.arguments[0] for message in replies} == {"queue_full"}
        await service.close()

    asyncio.run(scenario())


def test_messages_that_wait_for_their_turn_are_counted() -> None:
    async def scenario() -> None:
        inbox = Inbox(lambda packet, sender: None)
        many = [Packet(OscMessage("/ldm/ping", [1]), None)] * 40
        large = [Packet(OscMessage("/ldm/ping", [LARGE]), None)]
        inbox.put(many, sender("a"))
        for _ in range(9):
            inbox.put(large, sender("a"))
        with pytest.raises(QueueFull):
            inbox.put(large, sender("a"))
        inbox.put(large, sender("b"))
        await asyncio.sleep(0.05)
        for _ in range(5):
            inbox.put(many, sender("a"))  # nothing of it is left
        inbox.close()

    asyncio.run(scenario())


def test_what_is_being_handled_is_counted() -> None:
    client = KnownClient(sender("a"))
    client.check_outstanding(2 * MAX_OUTSTANDING_BYTES)  # a single one may be large
    client.outstanding, client.outstanding_bytes = 1, MAX_OUTSTANDING_BYTES
    with pytest.raises(QueueFull, match="KiB"):
        client.check_outstanding(1)


def test_questions_for_the_end_are_counted(bridge: Running, client: Client) -> None:
    bridge.engine.automatic = False
    client.send("/ldm/text", "1", "rain")
    heard(client, "/ldm/job/accepted")
    for number in range(MAX_SYNCS + 1):
        client.send("/ldm/sync", number)
    assert heard(client, "/ldm/error")[-1].arguments[0] == "queue_full"
    bridge.call(bridge.engine.finish, bridge.engine.jobs()[-1].id)
    synced = [message for message in client.messages(1.0) if message.address == "/ldm/synced"]
    assert len(synced) == MAX_SYNCS


def test_only_addresses_that_are_sent_are_listened_to() -> None:
    class Socket:
        client = None

    async def scenario() -> None:
        service = Service()
        subscriber = Subscriber(Socket(), "ws:1")  # type: ignore[arg-type]
        for number in range(1000):
            data = f'{{"COMMAND": "LISTEN", "DATA": "/{number}{"x" * 1000}"}}'
            subscriber._command(data, service)
        assert subscriber.paths == set()
        for message in (*TABLE.commands, *TABLE.replies):
            subscriber._command(f'{{"COMMAND": "LISTEN", "DATA": "{message.address}"}}', service)
        assert len(subscriber.paths) == len(TABLE.commands) + len(TABLE.replies)
        await service.close()

    asyncio.run(scenario())


def test_a_completion_is_no_longer_than_a_datagram() -> None:
    text = SUBMISSIONS[0]
    text.from_osc(("1", "rain", "completion", b"x" * 65507), {})
    with pytest.raises(InvalidRequest, match="completion"):
        text.from_osc(("1", "rain", "completion", b"x" * 65508), {})
