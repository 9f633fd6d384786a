"""No task of the bridge dies unnoticed: each one is broken here, is logged and goes on."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import cast

import pytest
from broken import Broken, failing, until
from memory_engine import MemoryEngine
from player_rig import FlakyDevice, noise, playing
from running_bridge import RunningBridge
from starlette.websockets import WebSocket

from osc_bridge.audio.card import CardOutput
from osc_bridge.audio.device import DeviceReport
from osc_bridge.client.client import Client
from osc_bridge.oscquery.subscriber import Subscriber
from osc_bridge.service.client_table import Sender
from osc_bridge.service.inbox import SLICE, Inbox
from osc_bridge.service.service import Service
from osc_bridge.wire.codec import OscMessage, Packet
from server.engine.engine import EngineStatus


@pytest.mark.integration
def test_the_watch_over_the_engine(
    bridge: RunningBridge[MemoryEngine],
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client.query("/ldm/notify", 1)
    working = bridge.engine.status
    broken = [True]

    def status() -> EngineStatus:
        if broken[0]:
            raise Broken("broken by the test")
        return working()

    monkeypatch.setattr(bridge.engine, "status", status)
    end = time.monotonic() + 20
    while "the watch over the engine failed" not in caplog.text:
        assert time.monotonic() < end
        time.sleep(0.01)
    broken[0] = False
    time.sleep(1.2)  # until the watch has begun again
    bridge.engine.state = "down"
    notices = (m.arguments for m in client.messages(10) if m.address == "/ldm/notify/engine")
    assert next(notices) == ("down", 0)


def test_the_watch_over_the_device(monkeypatch, caplog) -> None:
    monkeypatch.setattr("osc_bridge.audio.output.REOPEN_S", 0.01)

    async def run() -> None:
        device, reports = FlakyDevice(), list[DeviceReport]()
        async with playing(device) as (player, render):
            player.device.listen(reports.append)
            monkeypatch.setattr(device, "failure", failing(1, device.failure))
            await until(lambda: bool(reports))
            assert (reports[0].state, reports[0].reason) == (
                "open",
                "internal error: broken by the test",
            )
            monkeypatch.setattr(player, "resume", failing(2, player.resume))
            device.pulled = "the cable was pulled"
            await until(lambda: player.status().state == "lost")
            device.pulled = ""
            await until(lambda: player.status().state == "open")
            ended: list[bool] = []
            player.start(await player.load(noise(100)), on_end=lambda: ended.append(True))
            render(1000)
            await until(lambda: bool(ended))

    asyncio.run(run())
    assert caplog.text.count("the watch over the audio device failed") == 3


def test_a_device_that_opens_but_cannot_be_played_is_closed_again(monkeypatch) -> None:
    async def run() -> None:
        device = FlakyDevice()
        async with playing(device) as (player, _):
            monkeypatch.setattr(player, "resume", failing(1, player.resume))
            with pytest.raises(Broken):
                await player.open(player.device.settings)
            assert player.status().state == "closed"
            await player.open(player.device.settings)
            assert player.status().state == "open"

    asyncio.run(run())


def test_an_audio_process_that_writes_a_line_without_end_is_read(monkeypatch) -> None:
    program = "import sys; sys.stderr.write('x' * 300_000 + '\\nlast words'); sys.exit(4)"

    async def run() -> None:
        output = CardOutput()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE
        )
        await asyncio.wait_for(output._read_stderr(process), 20)
        assert await process.wait() == 4
        assert output._last_lines[-1] == "last words"

    asyncio.run(run())


def test_a_message_that_breaks_does_not_hold_up_those_behind_it(caplog) -> None:
    handled: list[object] = []

    def handle(packet: Packet, sender: Sender) -> None:
        (number,) = packet.message.arguments
        if number in (3, SLICE + 3):
            raise Broken("broken by the test")
        handled.append(number)

    async def run() -> None:
        inbox = Inbox(handle)
        packets = [Packet(OscMessage("/x", (number,)), None) for number in range(3 * SLICE)]
        inbox.put(packets, Sender("a", lambda data: None))
        await until(lambda: len(handled) == 3 * SLICE - 2)

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert caplog.text.count("a message of a could not be handled") == 2


def test_a_websocket_that_cannot_be_written_ends_and_says_so(caplog) -> None:
    class DeadWebSocket:
        client = None

        async def send_bytes(self, data: bytes) -> None:
            raise Broken("broken by the test")

        async def receive(self) -> dict[str, object]:
            return await asyncio.get_running_loop().create_future()

    async def run() -> None:
        service = Service()
        subscriber = Subscriber(cast(WebSocket, DeadWebSocket()), "ws:1")
        service.clients.of(subscriber._sender)
        subscriber.put(b"packet")
        await asyncio.wait_for(subscriber.serve(service), 20)
        assert len(service.clients) == 0

    asyncio.run(run())
    assert "ws:1: the connection failed: broken by the test" in caplog.text
