"""Long packets in slices, in turns with those of others, in their sender's order."""

from __future__ import annotations

import asyncio

import pytest

from osc_bridge.service.client_table import Sender
from osc_bridge.service.inbox import MAX_WAITING, SLICE, Inbox
from osc_bridge.wire.codec import OscMessage, Packet
from server.errors import QueueFull


def sender(key: str) -> Sender:
    return Sender(key, lambda data: None, None, True)


def packets(first: int, count: int) -> list[Packet]:
    return [Packet(OscMessage("/x", (number,)), None) for number in range(first, first + count)]


class Handled:
    """What came out of an inbox: sender and number."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, object]] = []
        self.inbox = Inbox(lambda p, s: self.seen.append((s.key, p.message.arguments[0])))

    def of(self, key: str) -> list[object]:
        return [number for one, number in self.seen if one == key]


def test_a_short_bundle_is_handled_as_one_and_at_once() -> None:
    handled = Handled()
    handled.inbox.put(packets(0, SLICE), sender("a"))  # without a loop: nothing is put off
    assert handled.of("a") == list(range(SLICE))


def test_a_long_bundle_lets_others_through_and_keeps_its_senders_order() -> None:
    async def run() -> Handled:
        handled = Handled()
        handled.inbox.put(packets(0, 10 * SLICE), sender("a"))
        assert handled.of("a") == list(range(SLICE))
        handled.inbox.put(packets(10 * SLICE, 1), sender("a"))
        handled.inbox.put(packets(0, 1), sender("b"))
        assert handled.of("b") == [0]
        assert len(handled.of("a")) == SLICE
        while len(handled.of("a")) <= 10 * SLICE:
            await asyncio.sleep(0)
        return handled

    assert asyncio.run(run()).of("a") == list(range(10 * SLICE + 1))


def test_long_bundles_take_turns() -> None:
    async def run() -> Handled:
        handled = Handled()
        handled.inbox.put(packets(0, 20 * SLICE), sender("a"))
        handled.inbox.put(packets(0, 3 * SLICE), sender("b"))
        while len(handled.of("b")) < 3 * SLICE:
            await asyncio.sleep(0)
        assert len(handled.of("a")) <= 4 * SLICE
        while len(handled.of("a")) < 20 * SLICE:
            await asyncio.sleep(0)
        return handled

    asyncio.run(run())


def test_who_sends_more_than_can_be_handled_is_told() -> None:
    async def run() -> None:
        handled = Handled()
        handled.inbox.put(packets(0, MAX_WAITING), sender("a"))
        with pytest.raises(QueueFull, match="fewer"):
            handled.inbox.put(packets(0, SLICE + 1), sender("a"))
        handled.inbox.close()
        await asyncio.sleep(0)
        assert len(handled.seen) == SLICE

    asyncio.run(run())
