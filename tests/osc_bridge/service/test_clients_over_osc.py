"""What the bridge keeps of each client: settings, a reply port, notices, bundles to come."""

from __future__ import annotations

import contextlib
import logging
import socket
import time

import pytest
from hearing import addresses, heard
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.client.client import Client
from osc_bridge.service.client_table import MAX_CLIENTS, MAX_NOTIFIED, Sender
from osc_bridge.wire.codec import OscMessage, decode, encode
from server.errors import Cancelled, InvalidRequest
from server.jobs.job import JobState

Running = RunningBridge[MemoryEngine]


def test_settings_are_a_clients_own(bridge: Running, client: Client) -> None:
    client.send("/ldm/set/prompt", "rain")
    client.send("/ldm/set/num_inference_steps", 9.0)
    client.send("/ldm/set/delivery/sample_rate", 44100)
    with bridge.client() as other:
        assert other.query("/ldm/set/num_inference_steps")[1] != 9
        other.render("wind")
    assert client.query("/ldm/set/num_inference_steps") == ("num_inference_steps", 9)
    client.send("/ldm/press/text", 1.0)
    heard(client, "/ldm/job/done")
    client.send("/ldm/press/text", 0.0)
    client.send("/ldm/text", "x", "thunder", "num_inference_steps", 5)
    heard(client, "/ldm/job/done")
    theirs, pressed, explicit = [job.request for job in bridge.engine.jobs()]
    assert theirs.delivery.sample_rate is None
    assert (pressed.prompt, pressed.num_inference_steps) == ("rain", 9)
    assert (explicit.prompt, explicit.num_inference_steps) == ("thunder", 5)
    assert explicit.delivery.sample_rate == 44100
    client.send("/ldm/settings/clear")
    with pytest.raises(InvalidRequest, match="prompt is empty"):
        client.query("/ldm/press/text")


def test_a_setting_out_of_range_is_refused(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="at most 50"):
        client.query("/ldm/set/guidance_scale", 99.0)
    with pytest.raises(InvalidRequest, match="must be a number"):
        client.query("/ldm/set/guidance_scale", "x")


def test_answers_go_to_the_port_that_is_named(bridge: Running) -> None:
    """oscsend sends every message from another port; the named port is what makes it one client."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox:
        inbox.bind(("127.0.0.1", 0))
        inbox.settimeout(10)
        port = inbox.getsockname()[1]
        for _ in range(2):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0.2)
                message = OscMessage("/ldm/text", ("a", "rain", "reply_port", float(port)))
                sender.sendto(encode(message), ("127.0.0.1", bridge.port))
                got = [decode(inbox.recv(65536))[0].message.address for _ in range(5)]
                assert got[:2] == ["/ldm/job/received", "/ldm/job/accepted"]
                assert got[-1] == "/ldm/job/done"
                with pytest.raises(TimeoutError):
                    sender.recv(65536)
    assert len(bridge.engine.jobs()) == 1


def test_reply_port_is_checked(bridge: Running, client: Client) -> None:
    with pytest.raises(InvalidRequest, match="1 to 65535"):
        client.query("/ldm/ping", 1, "reply_port", 70000)
    with bridge.client("tcp") as tcp, pytest.raises(InvalidRequest, match="for UDP"):
        tcp.query("/ldm/ping", 1, "reply_port", 9000)


def test_a_bundle_waits_for_its_time(client: Client) -> None:
    due = time.time() + 0.5
    client.send_bundle([OscMessage("/ldm/ping", (1,)), OscMessage("/ldm/ping", (2,))], due)
    client.send_bundle([OscMessage("/ldm/ping", (3,))], due - 0.2)
    client.send_bundle([OscMessage("/ldm/ping", (4,))], time.time() - 10)
    assert client.query("/ldm/ping", 5) in [(4,), (5,)]
    order = [m.arguments[0] for m in client.messages(1.0)]
    assert time.time() >= due
    assert [token for token in order if token <= 3] == [3, 1, 2]
    assert client.query("/ldm/status")[-1] == 1


def test_bundles_too_far_ahead_are_refused(client: Client) -> None:
    client.send_bundle([OscMessage("/ldm/ping", (1,))], time.time() + 7200)
    assert "clocks" in heard(client, "/ldm/error")[0].arguments[1]


def test_the_engines_state_is_noticed(bridge: Running, client: Client) -> None:
    client.query("/ldm/notify", 1)
    bridge.engine.state, bridge.engine.restarts = "restarting", 1
    assert heard(client, "/ldm/notify/engine")[-1].arguments == ("restarting", 1)


def test_a_client_that_hangs_up_does_not_stop_its_job(bridge: Running) -> None:
    bridge.engine.automatic = False
    with bridge.client("tcp") as client:
        client.send("/ldm/text", "a", "rain")
        job = heard(client, "/ldm/job/accepted")[-1].arguments[1]
    with bridge.client() as other:
        while bridge.call(lambda: len(bridge.bridge.tcp.connections)):
            other.query("/ldm/ping")
    bridge.call(bridge.engine.finish, job)
    assert bridge.engine.job(job).state is JobState.DONE


def test_client_errors_are_the_servers(bridge: Running, client: Client) -> None:
    bridge.engine.automatic = False
    client.send("/ldm/text", "a", "rain")
    heard(client, "/ldm/job/accepted")
    client.send("/ldm/job/cancel", "a")
    with pytest.raises(Cancelled):
        client.render("rain", request_id="a")


def test_the_oldest_lose_their_notices(bridge: Running) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(bridge.client()) for _ in range(MAX_NOTIFIED + 1)]
        for client in clients:
            assert client.query("/ldm/notify", 1) == (1,)
        assert heard(clients[0], "/ldm/notified")[-1].arguments == (0,)
        clients[1].render("rain")
        assert "/ldm/notify/take" in addresses(heard(clients[-1], "/ldm/notify/take"))
        assert clients[0].receive(0.2) is None


def test_what_crosses_the_wire_can_be_watched(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "audioldm.osc"):
        client.query("/ldm/ping", 7)
    lines = {record.name: record.getMessage() for record in caplog.records}
    assert lines["audioldm.osc.in"].endswith("/ldm/ping 7")
    assert lines["audioldm.osc.out"].endswith("/ldm/pong 7")
    assert lines["audioldm.osc.in"].startswith("udp:127.0.0.1:")


def test_clients_are_forgotten_the_idle_ones_first(bridge: Running) -> None:
    bridge.engine.automatic = False
    clients = bridge.bridge.service.clients
    with bridge.client() as owner:
        owner.send("/ldm/text", "a", "rain")
        job = heard(owner, "/ldm/job/accepted")[-1].arguments[1]
        for number in range(MAX_CLIENTS + 10):
            bridge.call(clients.of, Sender(f"passing:{number}", lambda data: None))
        assert len(clients) == MAX_CLIENTS
        bridge.call(bridge.engine.finish, job)
        assert heard(owner, "/ldm/job/done")[-1].arguments[0] == "a"
