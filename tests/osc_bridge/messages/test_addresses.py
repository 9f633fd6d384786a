"""The address table: each address is handled, exercised through a socket, and documented."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from pathlib import Path

import pytest
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.client.client import Client
from osc_bridge.messages import library, library_map, takes
from osc_bridge.messages import models as model_messages
from osc_bridge.messages.addresses import STAGE, TABLE, AddressTable, declared
from osc_bridge.messages.files import CHUNK_BYTES
from osc_bridge.messages.message import Command, Message, Reply
from osc_bridge.messages.requests.generated import PRESSES, SETTINGS, SUBMISSIONS
from osc_bridge.messages.server import Ping
from osc_bridge.osc_document import render_document
from osc_bridge.oscquery.tree import node_at
from osc_bridge.wire.codec import OscMessage
from server.errors import NotFound
from server.requests.fields import Field, fields_of
from server.requests.request import REQUESTS

pytestmark = pytest.mark.integration

Running = RunningBridge[MemoryEngine]
ROOT = Path(__file__).parents[3]
SOUND = bytes(range(256)) * (CHUNK_BYTES // 256) + b"more"


def examples(clip: Path) -> dict[str, list[object]]:
    """A message for every address that has handlers in the bridge."""
    digest = hashlib.sha256(SOUND).hexdigest()
    messages: dict[str, list[object]] = {}
    for submission in SUBMISSIONS:
        kind = submission.address.rpartition("/")[2]
        messages[submission.address] = [kind, "rain > wind", *required_pairs(submission.kind, clip)]
    messages |= {
        "/ldm/ping": [7],
        "/ldm/prove": ["of this machine"],
        "/ldm/version": [],
        "/ldm/status": [],
        "/ldm/model": [],
        "/ldm/help": ["/ldm/text"],
        "/ldm/sync": [1],
        "/ldm/notify": [1],
        "/ldm/job/status": ["text"],
        "/ldm/job/cancel": ["text"],
        "/ldm/job/list": [],
        "/ldm/preset/list": [],
        "/ldm/preset/use": ["a test"],
        "/ldm/upload/start": ["u", "a.wav", len(SOUND), digest],
        "/ldm/upload/chunk": ["u", 0, SOUND[:CHUNK_BYTES]],
        "/ldm/download/start": ["d", str(clip)],
        "/ldm/download/get": ["d", 0],
    }
    for setting in SETTINGS:
        messages[setting.address] = [example_of(setting.field, clip)]
    messages |= {press.address: [1.0] for press in PRESSES}
    messages["/ldm/settings/clear"] = []
    return messages


def required_pairs(kind: type, clip: Path) -> list[object]:
    required = [field for field in fields_of(kind) if field.required]
    return [part for field in required for part in (field.name, example_of(field, clip))]


def example_of(field: Field, clip: Path) -> object:
    if field.extra.get("file"):
        return str(clip)
    if field.name == "regions":
        return "0:0.05"
    if field.choices:
        return field.choices[0]
    if field.type in "ifT":
        return float(field.low or 0.0) if field.default is None else float(field.default)
    return "rain" if field.name == "prompt" else ""


@pytest.fixture
def clip(client: Client) -> Path:
    return client.render("wind", request_id="a clip")[0].path


@pytest.fixture(autouse=True)
def preset(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "presets"
    folder.mkdir(parents=True)
    (folder / "test.yaml").write_text("{name: a test, request: {kind: text, prompt: rain}}")


def test_every_address_is_answered_through_a_socket(
    bridge: Running, client: Client, clip: Path
) -> None:
    messages = examples(clip)
    handled = {c.address for c in bridge.bridge.service.table.commands}
    # These are in test_stage_addresses.py, test_models_over_osc.py, test_library_over_osc.py and
    # test_kept_takes_over_osc.py.
    libraries = (*declared(library), *declared(library_map), *declared(takes))
    others = (*STAGE, *declared(model_messages), *libraries)
    # The cookie is for other machines: test_address_proof.py.
    elsewhere = {"/ldm/cookie", *(message.address for message in others)}
    assert set(messages) == handled - elsewhere
    assert set(bridge.bridge.service.unhandled) <= elsewhere
    heard: set[str] = set()
    for address, arguments in messages.items():
        client.send(address, *arguments)
        replies = until_synced(client)
        expected = {reply.address for reply in TABLE.command(address).replies}
        errors = [m for m in replies if m.address == "/ldm/error"]
        if not address.startswith("/ldm/press/"):  # for lack of a clip some of them must refuse
            assert errors == [], address
        heard |= {message.address for message in replies}
        silent = address.startswith("/ldm/set") or address == "/ldm/job/cancel"
        assert silent or expected & heard, address
    heard |= heard_otherwise(bridge, client)
    assert {reply.address for reply in TABLE.replies} - elsewhere <= heard


def until_synced(client: Client) -> list[OscMessage]:
    """Everything that is answered before a sync that is sent after it."""
    client.send("/ldm/sync", 99)
    messages: list[OscMessage] = []
    while (message := client.receive(10)) is not None:
        if message == OscMessage("/ldm/synced", (99,)):
            return messages
        messages.append(message)
    raise AssertionError(f"no end after {messages}")


def heard_otherwise(bridge: Running, client: Client) -> set[str]:
    """The replies that are no answer to a message of a moment ago."""
    bridge.engine.automatic = False
    client.send("/ldm/text", "unfinished", "rain", "previews", 1)
    while (message := client.receive(10)) and message.address != "/ldm/job/accepted":
        pass
    bridge.call(bridge.engine.preview, bridge.engine.jobs()[-1].id, 1, Path("unfinished.wav"))
    client.send("/ldm/text", "long", "rain", "num_inference_steps", 1000, "audio_length_in_s", 600)
    client.send("/ldm/upload/chunk", "u", 1, SOUND[CHUNK_BYTES:])
    client.send("/ldm/set/seed")
    client.send("/ldm/nonsense")
    client.send("/ldm/text", "wrong", "")
    bridge.engine.state = "restarting"
    return {message.address for message in client.messages(1.5)}


@pytest.mark.parametrize("message", [*TABLE.commands, *TABLE.replies], ids=lambda m: m.address)
def test_every_message_says_what_it_is(message: type[Message]) -> None:
    assert message.address.startswith("/ldm/")
    assert message.description().endswith(("?", ".", ")")), message.description()
    assert issubclass(message, Command | Reply)
    if issubclass(message, Command):
        assert all(TABLE.is_reply(reply.address) for reply in message.replies)


def test_every_field_of_every_request_is_reachable() -> None:
    for kind, submission in zip(REQUESTS, SUBMISSIONS, strict=True):
        names = {field.name for field in submission.arguments()}
        assert {field.name for field in fields_of(kind)} <= names
    assert {s.field.name for s in SETTINGS} == {f.name for k in REQUESTS for f in fields_of(k)}


def test_the_document_is_the_tables() -> None:
    written = (ROOT / "docs" / "osc.md").read_text("utf-8")
    assert written == render_document(), "run: python -m osc_bridge.osc_document docs/osc.md"
    for message in (*TABLE.commands, *TABLE.replies):
        assert f"`{message.address}" in written


def test_the_oscquery_tree_is_the_tables(bridge: Running) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{bridge.http_port}/") as response:
        tree = json.load(response)
    paths = set()

    def walk(node: dict[str, object]) -> None:
        if "TYPE" in node:
            paths.add(node["FULL_PATH"])
        for child in node.get("CONTENTS", {}).values():  # type: ignore[attr-defined]
            walk(child)

    walk(tree)
    assert paths == {message.address for message in (*TABLE.commands, *TABLE.replies)}
    for setting in SETTINGS:
        node = node_at(tree, setting.address)
        limits = node["RANGE"][0]
        assert limits.get("VALS", []) == list(setting.field.choices)
        if setting.field.low is not None and not setting.field.choices:
            assert limits["MIN"] == setting.field.low


def test_help_lists_all_that_can_be_sent(client: Client) -> None:
    client.send("/ldm/help")
    answers = {m.arguments[0]: m.arguments[1:] for m in client.messages(1.0)}
    assert set(answers) == {command.address for command in TABLE.commands}
    assert answers["/ldm/job/cancel"][0] == "id"
    with pytest.raises(NotFound, match="/ldm/nonsense: unknown"):
        client.query("/ldm/help", "/ldm/nonsense")


def test_a_table_holds_an_address_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        AddressTable([Ping, Ping])
    with pytest.raises(TypeError, match="neither"):
        AddressTable([Message])


def test_server_addresses_are_never_answered(client: Client) -> None:
    client.send("/ldm/error", "bad_request", "I was told so", "/ldm/ping")
    client.send("/ldm/pong", 1)
    assert client.query("/ldm/ping", 2) == (2,)
    assert client.receive(0.2) is None
