"""Every address of the stage is answered, and what is wrong is refused."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from stage_over_osc import RATE, SET, Keyboard, Running, is_ready, refused, tone, until
from websockets.sync.client import connect

from osc_bridge.audio.device import DeviceInfo
from osc_bridge.client.client import Client
from osc_bridge.messages.addresses import STAGE
from osc_bridge.messages.message import Command, Reply
from osc_bridge.stage.stage import Stage
from osc_bridge.wire.codec import Argument, OscMessage, decode, encode
from server.errors import DeviceError, Forbidden, InvalidRequest, NotFound

pytestmark = pytest.mark.integration


def examples(sound: str, live_set: str) -> dict[str, tuple[Argument, ...]]:
    """A message for every address of the stage, in an order in which all of them make sense."""
    return {
        "/ldm/device/list": (),
        "/ldm/device/open": ("none", 0, 256),
        "/ldm/device/status": (),
        "/ldm/live/list": (),
        "/ldm/live/load": (live_set,),
        "/ldm/take/play": (sound, -6.0, 1, "beat", 2),
        "/ldm/take/gain": (1, -12.0),
        "/ldm/take/stop": (1, 0.05),
        "/ldm/master/gain": (-3.0,),
        "/ldm/monitor/gain": (-80.0,),
        "/ldm/pad/list": (),
        "/ldm/pad/hit": ("kick", 0.8),
        "/ldm/pad/play": ("bed",),
        "/ldm/pad/gain": ("bed", -20.0),
        "/ldm/pad/refresh": ("bed", "brighter bed"),
        "/ldm/pad/stop": ("bed",),
        "/ldm/transport": (),
        "/ldm/transport/tempo": (200.0,),
        "/ldm/transport/clock": ("osc",),
        "/ldm/transport/beat": (4.0, 100.0),
        "/ldm/transport/meter": (3,),
        "/ldm/transport/restart": (1,),
        "/ldm/stream/corners": ("rain", "bells"),
        "/ldm/stream/start": ("rain",),
        "/ldm/stream/xy": (1, 0),
        "/ldm/stream/prompt": ("bells", 0.5),
        "/ldm/stream/gain": (-6.0,),
        "/ldm/stream/status": (),
        "/ldm/stream/stop": (0.1,),
        "/ldm/midi/list": (),
        "/ldm/midi/open": ("keyboard",),
        "/ldm/midi/bind": ("control", 7, "/ldm/master/gain", "$value", -60.0, 0.0),
        "/ldm/midi/close": (),
        "/ldm/bar/render": ("b", 1000, 1.0, "riser"),
        "/ldm/capture/save": (0.2,),
        "/ldm/listen/start": ("stream", 12.0, -20.0),
        "/ldm/listen/status": (),
        "/ldm/listen/stop": (),
        "/ldm/stop": (),
        "/ldm/device/close": (),
    }


def test_every_address_of_the_stage_is_answered(
    client: Client, takes: Path, tmp_path: Path, midi: Keyboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = DeviceInfo(id=0, name="a card", host_api="ALSA", inputs=2, outputs=2, sample_rate=RATE)
    monkeypatch.setattr("osc_bridge.handlers.sound.list_devices", lambda: (card,))
    (tmp_path / "test.yaml").write_text(SET)
    messages = examples(str(tone(takes / "tone.wav")), str(tmp_path / "test.yaml"))
    assert {c.address for c in STAGE if issubclass(c, Command)} == set(messages)
    missing = {c.address for c in STAGE if issubclass(c, Reply)}
    for number, (address, arguments) in enumerate(messages.items()):
        client.send(address, *arguments)
        client.send("/ldm/sync", number)
        while (reply := client.receive(10)) != OscMessage("/ldm/synced", (number,)):
            assert reply is not None, address
            assert reply.address not in ("/ldm/error", "/ldm/job/fail"), (address, reply)
            missing.discard(reply.address)
        if address == "/ldm/live/load":  # hits need what the pads are rendering
            rendering = {1, 2}
            while rendering:
                notice = until(client, lambda m: m.address == "/ldm/notify/pad")
                rendering -= {pad for pad in rendering if is_ready(notice, pad)}
            missing.discard("/ldm/notify/pad")
    while missing:  # the notices that come in their own time
        missing.discard(until(client, lambda m: m.address in missing).address)


def test_what_is_refused(client: Client, takes: Path) -> None:
    path = str(tone(takes / "tone.wav"))
    with pytest.raises(DeviceError, match="no audio device is open"):
        client.query("/ldm/take/play", path)
    with pytest.raises(DeviceError, match="no audio device is open"):
        client.query("/ldm/stream/start", "rain")
    with pytest.raises(DeviceError):
        client.query("/ldm/device/open", "no such card")
    assert client.query("/ldm/device/open", "none")[1] == "none"
    with pytest.raises(NotFound):
        client.query("/ldm/take/play", "nothing.wav")
    with pytest.raises(Forbidden):
        client.query("/ldm/capture/save", 0.1, "played", "/etc/out.wav")
    with pytest.raises(InvalidRequest, match=r"bus must be one of played, recorded \(got 'both'\)"):
        client.query("/ldm/capture/save", 0.1, "both")
    with pytest.raises(NotFound, match="live set 'nonsense'"):
        client.query("/ldm/live/load", "nonsense")
    for elsewhere in ("../kick", "/etc/hosts", "../live/first-steps"):
        with pytest.raises(NotFound, match=r"no live set .*first-steps"):
            client.query("/ldm/live/load", elsewhere)
    with pytest.raises(InvalidRequest, match="choose the OSC clock first"):
        refused(client, "/ldm/transport/beat", 1.0, 120.0)
    with pytest.raises(NotFound, match="/ldm/nonsense"):
        refused(client, "/ldm/midi/bind", "note", 1, "/ldm/nonsense")
    assert client.query("/ldm/transport/clock", "midi")[4] == "midi"
    with pytest.raises(InvalidRequest, match="the tempo comes from the midi clock"):
        refused(client, "/ldm/transport/tempo", 100.0)


def test_control_surfaces_see_how_the_stage_stands(
    running: Running, stage: Stage, client: Client
) -> None:
    address = f"127.0.0.1:{running.http_port}"

    def ask(question: str) -> Any:
        with urllib.request.urlopen(f"http://{address}{question}") as response:
            return json.load(response)

    def heard() -> OscMessage:
        data = websocket.recv(timeout=10)
        assert isinstance(data, bytes)
        return decode(data)[0].message

    faders = ("/ldm/master/gain", "/ldm/transport/tempo", "/ldm/stream/xy", "/ldm/stream/gain")
    for fader in faders:
        assert ask(f"{fader}?ACCESS") == {"ACCESS": 3}
    assert ask("/ldm/master/gain?VALUE") == {"VALUE": [0.0]}
    assert ask("/ldm/monitor/gain?VALUE") == {"VALUE": [-80.0]}
    assert ask("/ldm/transport/tempo?VALUE") == {"VALUE": [120.0]}
    assert ask("/ldm/stream/state?VALUE")["VALUE"][0] == "stopped"
    with connect(f"ws://{address}/") as websocket:
        for fader in faders:
            websocket.send(json.dumps({"COMMAND": "LISTEN", "DATA": fader}))
        websocket.send(encode(OscMessage("/ldm/ping", (1,))))
        assert heard() == OscMessage("/ldm/pong", (1,))
        client.send("/ldm/master/gain", -6.0)
        client.send("/ldm/transport/tempo", 93.5)
        client.send("/ldm/transport/tempo", 93.5)
        client.send("/ldm/stream/corners", "rain", "wind")
        client.send("/ldm/stream/xy", 0.25, 0.0)
        assert heard() == OscMessage("/ldm/master/gain", (-6.0,))
        assert heard() == OscMessage("/ldm/transport/tempo", (93.5,))
        assert heard() == OscMessage("/ldm/stream/xy", (0.25, 0.0))
    assert ask("/ldm/stream/corners?VALUE") == {"VALUE": ["rain", "wind", "", ""]}
    assert ask("/ldm/transport/position?VALUE")["VALUE"][2] == 93.5


@pytest.mark.parametrize(
    ("rate", "block", "sentence"),
    [
        (7, 256, r"sample_rate must be 0, .* at least 8000 Hz \(got 7\)"),
        (48000, 3, r"blocksize must be 0, .* at least 16 frames \(got 3\)"),
        (500_000, 256, "sample rate|sample_rate"),
    ],
)
def test_settings_that_no_card_has_are_refused(
    opened: Client, rate: int, block: int, sentence: str
) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        opened.query("/ldm/device/open", "none", rate, block)
    assert opened.query("/ldm/device/status")[0] == "open"
