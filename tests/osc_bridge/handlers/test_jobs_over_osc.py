"""Jobs through a socket: what a client sends, and what it hears."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hearing import addresses, heard
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.client.client import Client
from osc_bridge.wire.codec import OscMessage, encode
from server.audio.waveform import Waveform
from server.errors import Conflict, NotFound, QueueFull
from server.jobs.job import Job
from server.requests.request import TextToAudio

pytestmark = pytest.mark.integration

Running = RunningBridge[MemoryEngine]


def only_job(bridge: Running) -> str:
    (job,) = bridge.engine.jobs()
    return job.id


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_prompt_becomes_takes(bridge: Running, takes: Path, transport: str) -> None:
    with bridge.client(transport) as client:
        client.send(
            "/ldm/text", "mine", "rain on a tin roof", "seed", 5, "num_waveforms_per_prompt", 2
        )
        messages = heard(client, "/ldm/job/done")
    assert addresses(messages) == [
        "/ldm/job/received",
        "/ldm/job/accepted",
        "/ldm/job/progress",
        "/ldm/take",
        "/ldm/take",
        "/ldm/job/done",
    ]
    assert messages.pop(0).arguments == ("mine",)
    job = only_job(bridge)
    assert messages[0].arguments == ("mine", job, 0)
    assert messages[1].arguments == ("mine", job, 2, 2)
    first = messages[2].arguments
    assert first[:3] == ("mine", job, 0)
    assert Path(first[3]).parent == takes
    assert first[4:] == (0.1, 48000, 1, 5, -2.0, 0, 4800, "")
    assert Waveform.read(Path(first[3])).seconds == pytest.approx(0.1)
    assert messages[3].arguments[7] == 6
    assert messages[4].arguments == ("mine", job, 2)


def test_an_unfinished_take_is_told_to_its_sender(
    bridge: Running, client: Client, tmp_path: Path
) -> None:
    bridge.engine.automatic = False
    client.send("/ldm/text", "mine", "rain", "previews", 2)
    heard(client, "/ldm/job/accepted")
    job, path = only_job(bridge), tmp_path / "mine.wav"
    for step in (1, 2):
        bridge.call(bridge.engine.step, job, step, 3)
        bridge.call(bridge.engine.preview, job, step, path)
    bridge.call(bridge.engine.step, job, 3, 3)
    bridge.call(bridge.engine.finish, job)
    reported = [m for m in heard(client, "/ldm/job/done") if m.address != "/ldm/take"]
    assert [m.arguments for m in reported] == [
        ("mine", job, 1, 3),
        ("mine", job, 1, str(path)),
        ("mine", job, 2, 3),
        ("mine", job, 2, str(path)),
        ("mine", job, 3, 3),
        ("mine", job, 1),
    ]
    assert addresses(reported)[:2] == ["/ldm/job/progress", "/ldm/job/preview"]


def test_every_kind_of_value_is_understood(bridge: Running, client: Client, tmp_path: Path) -> None:
    """Pd has only floats, oscsend types what it is told, names may be short or dotted."""
    client.send(
        "/ldm/text", 7.0, 808.0, "num_inference_steps", 12.0, "sample_rate", "44100",
        "delivery.trim", True, "guidance_scale", 3, "loop", 0.0,
    )  # fmt: skip
    heard(client, "/ldm/job/done")
    (job,) = bridge.engine.jobs()
    request = job.request
    assert (job.request_id, request.prompt) == ("7", "808")
    assert isinstance(request, TextToAudio)
    assert (request.num_inference_steps, request.guidance_scale) == (12, 3.0)
    assert (request.delivery.sample_rate, request.delivery.trim) == (44100, True)
    assert request.loop is False


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("a", ""), "prompt is empty"),
        (("a", "rain", "seed"), "'seed' has no partner"),
        (("a", "rain", "on", "a", "tin", "roof"), "'on' is no field"),
        (("a", "rain", 3, 4), "where a name is expected"),
        (("a", "rain", "seed", -1), "seed must be at least 0 (got -1); leave it out"),
        (("a", "rain", "seed", 1.5), "seed must be a whole number, 0 or more (got 1.5)"),
        (
            ("a", "rain", "guidance_scale", float("nan")),
            "prompt must be a number from 0 to 50 (got nan)",
        ),
        (("a", "rain", "seed", float("inf")), "seed must be a whole number"),
        (("a", "rain", "folder", "x" * 4001), "folder must have at most 4000 characters"),
        (
            ("a", "rain", "guidance_scale", "much"),
            "prompt must be a number from 0 to 50 (got 'much')",
        ),
        (("a", "rain", "guidance_scale", 51.0), "prompt must be at most 50 (got 51)"),
        (
            ("a", "rain", "sampler", "euler"),
            "sampler must be one of ddim, dpmpp_2m, unipc (got 'euler')",
        ),
        (("a", "rain", "eta", 0.5, "sampler", "unipc"), "works with the ddim sampler only"),
        (("a", "x" * 2001), "prompt"),
        (("x" * 201, "rain"), "request_id"),
    ],
)
def test_a_refused_request_fails_with_code_and_sentence(
    bridge: Running, client: Client, arguments: tuple[object, ...], sentence: str
) -> None:
    with bridge.client() as watcher:
        assert watcher.query("/ldm/notify", 1) == (1,)
        client.send("/ldm/text", *arguments)
        (fail,) = heard(client, "/ldm/job/fail")
        assert fail.arguments[:3] == (str(arguments[0])[:200], "", "bad_request")
        assert sentence in fail.arguments[3]
        (error,) = heard(watcher, "/ldm/error")
        assert error.arguments == ("bad_request", fail.arguments[3], "/ldm/text")
    assert client.receive(0.1) is None
    assert bridge.engine.jobs() == []


def test_a_repeated_datagram_makes_no_second_job(bridge: Running, client: Client) -> None:
    for _ in range(3):
        client.send("/ldm/text", "once", "rain")
    all_heard = [heard(client, "/ldm/job/done") for _ in range(3)]
    assert len(bridge.engine.jobs()) == 1
    assert {messages[-1].arguments[1] for messages in all_heard} == {only_job(bridge)}
    assert all(addresses(messages).count("/ldm/take") == 1 for messages in all_heard)


def test_an_id_used_for_something_else_is_a_conflict(client: Client) -> None:
    client.render("rain", request_id="once")
    with pytest.raises(Conflict, match="once"):
        client.render("wind", request_id="once")


def test_two_clients_with_equal_ids_never_hear_each_other(bridge: Running) -> None:
    bridge.engine.automatic = False
    with bridge.client() as one, bridge.client() as other:
        one.send("/ldm/text", "a", "rain")
        other.send("/ldm/text", "a", "wind")
        job_one = heard(one, "/ldm/job/accepted")[-1].arguments[1]
        job_other = heard(other, "/ldm/job/accepted")[-1].arguments[1]
        assert job_one != job_other
        for step in (1, 2):
            bridge.call(bridge.engine.step, job_one, step, 2)
            bridge.call(bridge.engine.step, job_other, step, 2)
        other.send("/ldm/job/cancel", "a")
        bridge.call(bridge.engine.finish, job_one)
        one_heard = heard(one, "/ldm/job/done")
        other_heard = heard(other, "/ldm/job/fail")
        assert {message.arguments[1] for message in one_heard} == {job_one}
        assert {message.arguments[1] for message in other_heard} == {job_other}
        assert one.receive(0.2) is None
        assert other.receive(0.2) is None


def test_nothing_is_told_before_the_acceptance(bridge: Running, client: Client) -> None:
    """The engine of these tests finishes jobs before submit returns."""
    for number in range(20):
        client.send("/ldm/text", f"n{number}", "rain")
    reported: dict[str, list[str]] = {f"n{number}": [] for number in range(20)}
    while not all("/ldm/job/done" in messages for messages in reported.values()):
        message = client.receive(10)
        assert message is not None
        reported[message.arguments[0]].append(message.address)
    for messages in reported.values():
        assert messages[:2] == ["/ldm/job/received", "/ldm/job/accepted"]
        assert messages[-1] == "/ldm/job/done"


def test_received_does_not_wait_for_the_disk_and_accepted_does(
    bridge: Running, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = asyncio.Event()
    submit = bridge.engine.submit

    async def submit_to_a_slow_disk(*request: Any, **about: Any) -> Job:
        await written.wait()
        return await submit(*request, **about)

    monkeypatch.setattr(bridge.engine, "submit", submit_to_a_slow_disk)
    client.send("/ldm/text", "a", "rain")
    assert client.receive(10) == OscMessage("/ldm/job/received", ("a",))
    client.send("/ldm/ping", 1)
    assert client.receive(10) == OscMessage("/ldm/pong", (1,))
    bridge.call(written.set)
    assert client.receive(10).address == "/ldm/job/accepted"


def test_cancel_by_either_id_and_never_before_its_submit(bridge: Running, client: Client) -> None:
    bridge.engine.automatic = False
    submit = OscMessage("/ldm/text", ("a", "rain"))
    cancel = OscMessage("/ldm/job/cancel", ("a",))
    client.send_bundle([submit, cancel])
    messages = heard(client, "/ldm/job/fail")
    assert addresses(messages) == ["/ldm/job/received", "/ldm/job/accepted", "/ldm/job/fail"]
    assert messages[2].arguments[2] == "cancelled"
    client.send("/ldm/text", "b", "rain")
    job = heard(client, "/ldm/job/accepted")[-1].arguments[1]
    client.send("/ldm/job/cancel", job)
    assert heard(client, "/ldm/job/fail")[-1].arguments[:3] == ("b", job, "cancelled")


def test_unknown_ids_are_said_to_be_unknown(client: Client) -> None:
    for address in ("/ldm/job/status", "/ldm/job/cancel"):
        with pytest.raises(NotFound, match="no job 'never'"):
            client.query(address, "never")


def test_status_and_list_of_own_jobs(bridge: Running, client: Client) -> None:
    with bridge.client() as other:
        other.render("wind", request_id="theirs")
    client.render("rain", request_id="a", num_waveforms_per_prompt=3)
    bridge.engine.automatic = False
    client.send("/ldm/text", "b", "rain")
    job = heard(client, "/ldm/job/accepted")[-1].arguments[1]
    bridge.call(bridge.engine.step, job, 4, 20)
    heard(client, "/ldm/job/progress")
    assert client.query("/ldm/job/status", "b") == ("b", job, "running", 0, 4, 20, 0)
    client.send("/ldm/job/list")
    *states, listed = heard(client, "/ldm/job/listed")
    assert [state.arguments[0] for state in states] == ["a", "b"]
    assert states[0].arguments[2:] == ("done", 0, 2, 2, 3)
    assert listed.arguments == (2,)


def test_a_job_that_fails_tells_its_owner_and_those_with_notices_on(bridge: Running) -> None:
    bridge.engine.automatic = False
    with bridge.client() as owner, bridge.client() as watcher, bridge.client() as stranger:
        assert watcher.query("/ldm/notify", 1) == (1,)
        assert stranger.query("/ldm/ping", 1) == (1,)
        owner.send("/ldm/text", "a", "rain")
        job = heard(owner, "/ldm/job/accepted")[-1].arguments[1]
        bridge.call(bridge.engine.fail, job, "render_error", "the worker died")
        assert addresses(list(owner.messages(0.2))) == ["/ldm/job/fail"]
        noticed = heard(watcher, "/ldm/error")
        noticed += heard(watcher, "/ldm/notify/job")
        assert "render_error" in noticed[-2].arguments
        assert noticed[-1].arguments[1:4] == ("a", job, "failed")
        assert stranger.receive(0.2) is None


def test_notices_tell_of_everybodys_takes(bridge: Running) -> None:
    with bridge.client() as owner, bridge.client() as watcher:
        watcher.query("/ldm/notify", 1)
        takes = owner.render("rain", request_id="a", seed=3)
        notices = heard(watcher, "/ldm/notify/take")
        assert notices[-1].arguments[3:] == (str(takes[0].path), pytest.approx(0.1), 3, "rain")
        assert "/ldm/take" not in addresses(notices)
        watcher.query("/ldm/notify", 0)
        owner.render("rain", request_id="b")
        assert all(m.address.startswith("/ldm/notify/") for m in watcher.messages(0.2))


def test_a_full_queue_is_said_to_be_full(bridge: Running, client: Client) -> None:
    bridge.engine.automatic = False
    bridge.engine.refuse_beyond(2)
    for number in range(2):
        client.send("/ldm/text", f"n{number}", "rain")
    with pytest.raises(QueueFull, match="try again later"):
        client.render("rain")


def test_sync_answers_when_what_was_submitted_has_ended(bridge: Running, client: Client) -> None:
    bridge.engine.automatic = False
    client.send("/ldm/sync", 1)
    assert heard(client, "/ldm/synced")[-1].arguments == (1,)
    client.send("/ldm/text", "a", "rain")
    client.send("/ldm/text", "b", "rain")
    client.send("/ldm/sync", 2)
    client.send("/ldm/text", "c", "rain")
    accepted = (heard(client, "/ldm/job/accepted")[-1].arguments for _ in range(3))
    jobs = {request_id: job_id for request_id, job_id, _ in accepted}
    bridge.call(bridge.engine.finish, jobs["a"])
    assert "/ldm/synced" not in addresses(list(client.messages(0.2)))
    bridge.call(bridge.engine.fail, jobs["b"], "render_error", "broken")
    assert heard(client, "/ldm/synced")[-1].arguments == (2,)
    assert not bridge.engine.job(jobs["c"]).state.final


def test_a_completion_message_is_executed_when_the_job_is_done(bridge: Running) -> None:
    bridge.engine.automatic = False
    completion = encode(OscMessage("/ldm/ping", (42,)))
    with bridge.client() as client:
        for _ in range(2):
            client.send("/ldm/text", "a", "rain", "completion", completion)
        job = heard(client, "/ldm/job/accepted")[-1].arguments[1]
        heard(client, "/ldm/job/accepted")
        bridge.call(bridge.engine.finish, job)
        assert heard(client, "/ldm/pong")[-1].arguments == (42,)
        client.send("/ldm/text", "a", "rain", "completion", completion)
        assert "/ldm/pong" not in addresses(heard(client, "/ldm/job/done"))
        assert client.receive(0.2) is None
