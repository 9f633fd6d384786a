"""OSCQuery as a control surface meets it: HTTP for the tree, a WebSocket for values."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from memory_engine import MemoryEngine
from running_bridge import RunningBridge
from websockets.sync.client import ClientConnection, connect

from osc_bridge.client.client import Client
from osc_bridge.messages.message import Reply
from osc_bridge.wire.codec import OscMessage, decode, encode
from server.errors import InvalidRequest

pytestmark = pytest.mark.integration

Running = RunningBridge[MemoryEngine]


def ask(bridge: Running, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{bridge.http_port}{path}") as response:
        assert response.headers["content-type"] == "application/json"
        return json.load(response)


def refusal(bridge: Running, path: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(bridge, path)
    with caught.value as error:
        assert json.load(error)["message"]
        return int(error.code)


@pytest.fixture
def websocket(bridge: Running) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{bridge.http_port}/") as socket:
        yield socket


def heard(websocket: ClientConnection) -> OscMessage:
    data = websocket.recv(timeout=10)
    assert isinstance(data, bytes)
    return decode(data)[0].message


def test_host_info_names_the_ports_and_what_is_supported(bridge: Running) -> None:
    info = ask(bridge, "/?HOST_INFO")
    assert (info["OSC_PORT"], info["WS_PORT"]) == (bridge.port, bridge.http_port)
    assert (info["OSC_IP"], info["OSC_TRANSPORT"]) == ("127.0.0.1", "UDP")
    assert all(info["EXTENSIONS"][name] for name in ("LISTEN", "IGNORE", "PATH_CHANGED", "VALUE"))


def test_a_fader_has_range_unit_description_and_value(bridge: Running) -> None:
    node = ask(bridge, "/ldm/set/audio_length_in_s")
    assert node["TYPE"] == "f"
    assert node["ACCESS"] == 3
    assert node["RANGE"] == [{"MIN": 0.3, "MAX": 600.0}]
    assert node["UNIT"] == ["s"]
    assert node["DESCRIPTION"].endswith("length of the sound.")
    steps = bridge.engine.manifest.defaults.num_inference_steps
    assert ask(bridge, "/ldm/set/num_inference_steps")["VALUE"] == [steps]


def test_switches_menus_and_whole_numbers(bridge: Running) -> None:
    assert ask(bridge, "/ldm/set/loop?TYPE") == {"TYPE": "T"}
    assert ask(bridge, "/ldm/set/sampler?RANGE")["RANGE"][0]["VALS"][0] == "ddim"
    assert ask(bridge, "/ldm/set/bandwidth?RANGE")["RANGE"] == [{"VALS": ["full", "model"]}]
    assert ask(bridge, "/ldm/set/seed?RANGE") == {"RANGE": [{"MIN": 0, "MAX": 2**31 - 1}]}
    assert ask(bridge, "/ldm/text")["CRITICAL"] is True
    assert ask(bridge, "/ldm/status?TYPE") == {"TYPE": "N"}
    assert ask(bridge, "/ldm/set?ACCESS") == {"ACCESS": 0}


def test_wrong_questions(bridge: Running) -> None:
    assert refusal(bridge, "/ldm/nonsense") == 404
    assert refusal(bridge, "/nonsense") == 404
    assert refusal(bridge, "/ldm/set/seed?BOGUS") == 400
    url = f"http://127.0.0.1:{bridge.http_port}/ldm/set/seed?VALUE"
    with urllib.request.urlopen(url) as response:
        assert response.status == 204


def test_a_value_that_is_set_is_heard_and_seen(
    bridge: Running, client: Client, websocket: ClientConnection
) -> None:
    address = "/ldm/set/guidance_scale"
    websocket.send(json.dumps({"COMMAND": "LISTEN", "DATA": address}))
    websocket.send(encode(OscMessage("/ldm/ping", (1,))))  # so that the LISTEN has been read
    assert heard(websocket) == OscMessage("/ldm/pong", (1,))
    client.send(address, 4.25)
    assert heard(websocket) == OscMessage(address, (4.25,))
    assert ask(bridge, f"{address}?VALUE") == {"VALUE": [4.25]}
    websocket.send(json.dumps({"COMMAND": "IGNORE", "DATA": address}))
    websocket.send(encode(OscMessage("/ldm/ping", (2,))))
    assert heard(websocket) == OscMessage("/ldm/pong", (2,))
    client.send(address, 5.0)
    client.query("/ldm/ping")
    with pytest.raises(TimeoutError):
        websocket.recv(timeout=0.2)


def test_jobs_can_be_listened_to(client: Client, websocket: ClientConnection) -> None:
    websocket.send(json.dumps({"COMMAND": "LISTEN", "DATA": "/ldm/notify/take"}))
    websocket.send(encode(OscMessage("/ldm/ping", (1,))))
    heard(websocket)
    take = client.render("rain")[0]
    assert heard(websocket).arguments[3] == str(take.path)


def test_a_websocket_is_a_client_of_its_own(bridge: Running, websocket: ClientConnection) -> None:
    websocket.send(encode(OscMessage("/ldm/text", ("a", "rain"))))
    addresses = [heard(websocket).address for _ in range(5)]
    assert addresses[:2] == ["/ldm/job/received", "/ldm/job/accepted"]
    assert addresses[-1] == "/ldm/job/done"
    (job,) = bridge.engine.jobs()
    assert job.owner.startswith("ws:")


def test_nonsense_over_the_websocket_is_survived(websocket: ClientConnection) -> None:
    for text in ("", "{", "[]", '{"COMMAND": 3}', '{"COMMAND": "DANCE", "DATA": "/"}'):
        websocket.send(text)
    websocket.send(b"nonsense")
    assert heard(websocket).address == "/ldm/error"
    websocket.send(encode(OscMessage("/ldm/ping", (1,))))
    assert heard(websocket).arguments == (1,)


def test_new_addresses_are_announced(bridge: Running, websocket: ClientConnection) -> None:
    class Curtain(Reply, frozen=True):
        """The curtain fell."""

        address = "/ldm/curtain"

    websocket.send(encode(OscMessage("/ldm/ping", (1,))))
    heard(websocket)
    bridge.call(bridge.bridge.service.add, {}, (Curtain,))
    changed = json.loads(websocket.recv(timeout=10))
    assert changed == {"COMMAND": "PATH_CHANGED", "DATA": "/"}
    assert ask(bridge, "/ldm/curtain")["DESCRIPTION"] == "The curtain fell."


def test_a_closed_websocket_is_forgotten(bridge: Running) -> None:
    with connect(f"ws://127.0.0.1:{bridge.http_port}/") as socket:
        socket.send(encode(OscMessage("/ldm/ping", (1,))))
        socket.recv(timeout=10)
        assert bridge.oscquery.num_subscribers == 1
    with bridge.client() as client:
        while bridge.oscquery.num_subscribers:
            client.query("/ldm/ping")
        assert client.query("/ldm/status")[6] == 1


def test_refusals_are_the_same_as_over_udp(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="one value"):
        client.query("/ldm/set/seed", 1, 2)


def test_a_command_is_posted_and_answered(bridge: Running) -> None:
    assert posted(bridge, "/ldm/ping", 7) == [{"address": "/ldm/pong", "arguments": [7]}]
    assert posted(bridge, "/ldm/set/seed", 3) == []
    (preset, *_) = posted(bridge, "/ldm/preset/list")
    assert preset["address"].startswith("/ldm/preset/")
    for address, body, status in (
        ("/ldm/nothing", b"[]", 404),
        ("/ldm/set/seed", b'["much"]', 400),
        ("/ldm/set/seed", b'{"seed": 3}', 400),
        ("/ldm/set/seed", b"[[3]]", 400),
        ("/ldm/text", b'["a", "rain"]', 400),
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{bridge.http_port}{address}", body)
        with caught.value as error:
            assert error.code == status, address
            assert json.load(error)["error"]["message"]


def posted(bridge: Running, address: str, *arguments: object) -> list[dict[str, Any]]:
    body = json.dumps(arguments).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{bridge.http_port}{address}", body) as response:
        return list(json.load(response))
