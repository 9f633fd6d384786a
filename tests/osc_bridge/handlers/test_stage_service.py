"""The stage through a socket: every one of its addresses, on a device that makes no sound."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy_engine import NumpyEngine
from running_bridge import RunningBridge, running_bridge
from websockets.sync.client import connect

from osc_bridge.audio.arena import ArenaShape
from osc_bridge.audio.device import DeviceInfo
from osc_bridge.client.client import Client
from osc_bridge.handlers.stage import stage_on
from osc_bridge.messages.addresses import STAGE
from osc_bridge.messages.message import Command, Reply
from osc_bridge.messages.pads import PadHit
from osc_bridge.stage.stage import Stage
from osc_bridge.wire.codec import Argument, OscMessage, decode, encode
from server.audio.waveform import Waveform
from server.errors import AudioLDMError, DeviceError, Forbidden, InvalidRequest, NotFound
from server.model.manifest import Manifest

pytestmark = pytest.mark.integration

RATE = 48000
SHAPE = ArenaShape(store_frames=RATE * 120, capture_frames=RATE * 20)
SET = """
name: Test set
tempo_bpm: 240
stream_prompt: rain
pads:
  - {name: kick, prompt: kick, mode: one_shot, seconds: 0.3, quantise: none, note: 36}
  - {name: bed, prompt: bed, bars: 1, quantise: bar}
"""

Running = RunningBridge[NumpyEngine]


@pytest.fixture
def running(tiny_folder: Path, takes: Path) -> Iterator[Running]:
    engine = NumpyEngine(Manifest.load(tiny_folder), takes)
    with running_bridge(engine, takes) as running:
        yield running


@pytest.fixture
def stage(running: Running) -> Iterator[Stage]:
    """A stage on the bridge's loop."""
    stack = AsyncExitStack()
    bridge = running.bridge
    context = stage_on(running.engine, bridge.service, bridge.folders, shape=SHAPE)
    stage = running.run(stack.enter_async_context(context))
    yield stage
    running.run(stack.aclose())


@pytest.fixture
def client(running: Running, stage: Stage) -> Iterator[Client]:
    with running.client() as client:
        client.query("/ldm/notify", 1)
        yield client


class Keyboard:
    """A MIDI system with one keyboard, in the place of mido's backend (not of our own code)."""

    name = "the keyboard"

    def __init__(self) -> None:
        self.play: Callable[[object], None] | None = None
        """Sends a message, while the port is open."""

    def get_input_names(self) -> list[str]:
        return [self.name, "another"]

    def open_input(self, name: str, *, virtual: bool, callback: Callable[[object], None]) -> object:
        assert (name, virtual) == (self.name, False)
        self.play = callback
        return self

    def close(self) -> None:
        self.play = None


@pytest.fixture
def midi(monkeypatch: pytest.MonkeyPatch) -> Keyboard:
    keyboard = Keyboard()
    monkeypatch.setattr("osc_bridge.stage.midi._backend", lambda api: keyboard)
    return keyboard


@pytest.fixture
def sounding(client: Client) -> Client:
    """A client with a device open and a live set loaded."""
    assert client.query("/ldm/device/open", "none", 0, 256)[0] == "open"
    return client


def tone(path: Path, seconds: float = 1.0) -> Path:
    samples = 0.4 * np.sin(np.arange(round(RATE * seconds)) * (2 * np.pi * 500 / RATE))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(Waveform.mono(samples, RATE).encode("wav32f"))
    return path


def loaded(client: Client, folder: Path) -> None:
    path = folder / "test.yaml"
    path.write_text(SET)
    assert client.query("/ldm/live/load", str(path)) == ("Test set", 2, 240.0)
    until(client, lambda m: m.address == "/ldm/notify/pad" and is_ready(m, 2))


def until(client: Client, true, timeout_s: float = 10.0) -> OscMessage:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        message = client.receive(0.5)
        if message and true(message):
            return message
    raise AssertionError("that message did not come")


def spoken(sound: str, live_set: str) -> dict[str, tuple[Argument, ...]]:
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
        "/ldm/stop": (),
        "/ldm/device/close": (),
    }


def test_every_address_of_the_stage_is_answered(
    client: Client, takes: Path, tmp_path: Path, midi: Keyboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = DeviceInfo(id=0, name="a card", host_api="ALSA", inputs=2, outputs=2, sample_rate=RATE)
    monkeypatch.setattr("osc_bridge.handlers.sound.list_devices", lambda: (card,))
    (tmp_path / "test.yaml").write_text(SET)
    messages = spoken(str(tone(takes / "tone.wav")), str(tmp_path / "test.yaml"))
    assert {c.address for c in STAGE if issubclass(c, Command)} == set(messages)
    untold = {c.address for c in STAGE if issubclass(c, Reply)}
    for number, (address, arguments) in enumerate(messages.items()):
        client.send(address, *arguments)
        client.send("/ldm/sync", number)
        while (reply := client.receive(10)) != OscMessage("/ldm/synced", (number,)):
            assert reply is not None, address
            assert reply.address not in ("/ldm/error", "/ldm/job/fail"), (address, reply)
            untold.discard(reply.address)
        if address == "/ldm/live/load":  # hits need what the pads are rendering
            until(client, lambda m: m.address == "/ldm/notify/pad" and is_ready(m, 2))
            untold.discard("/ldm/notify/pad")
    while untold:  # the notices that come in their own time
        untold.discard(until(client, lambda m: m.address in untold).address)


def is_ready(message: OscMessage, number: int) -> bool:
    return message.arguments[:3:2] == (number, "ready")


def test_pads_over_osc(sounding: Client, stage: Stage, tmp_path: Path) -> None:
    loaded(sounding, tmp_path)
    sounding.send("/ldm/pad/hit", 2, 0.8)
    state = until(sounding, lambda m: m.address == "/ldm/notify/pad" and m.arguments[0] == 2)
    assert state.arguments[1:3] == ("bed", "queued")
    until(sounding, lambda m: m.arguments[:3] == (2, "bed", "playing"))
    sounding.send("/ldm/pad/gain", "bed", -20.0)
    sounding.send("/ldm/pad/play", "kick")
    until(sounding, lambda m: m.arguments[:3] == (1, "kick", "playing"))
    sounding.send("/ldm/pad/refresh", "bed", "brighter bed")
    until(sounding, lambda m: m.arguments[:5] == (2, "bed", "playing", 1, 1))
    until(sounding, lambda m: m.arguments[:5] == (2, "bed", "playing", 1, 0))
    sounding.send("/ldm/transport/tempo", 200.0)
    sounding.send("/ldm/pad/stop", "bed")
    until(sounding, lambda m: m.arguments[:3] == (2, "bed", "ready"))
    assert stage.player.status().glitches == 0
    with pytest.raises(NotFound, match="pad 9: there are pads 1 to 2"):
        refused(sounding, "/ldm/pad/hit", 9)
    with pytest.raises(InvalidRequest, match=r"velocity must be at most 1 \(got 3\.0\)"):
        refused(sounding, "/ldm/pad/hit", 1, 3.0)


def test_a_keyboard_over_osc(sounding: Client, midi: Keyboard, tmp_path: Path) -> None:
    """Its notes hit pads, its controllers send what they are bound to, and only while it is open.

    The port is a stand-in; test_midi.py has a real one, over JACK.
    """
    loaded(sounding, tmp_path)
    assert sounding.query("/ldm/midi/list") == ("the keyboard\nanother", "")
    with pytest.raises(DeviceError, match="no MIDI inputs for 'piano'"):
        sounding.query("/ldm/midi/open", "piano")
    assert sounding.query("/ldm/midi/open", "keyboard") == ("", "the keyboard")
    sounding.send("/ldm/midi/bind", "control", 7, "/ldm/transport/tempo", "$value", 60.0, 200.0)
    sounding.send("/ldm/midi/bind", "control", 8, "/ldm/pad/hit", "bed", 0.0, 1.0)
    sounding.query("/ldm/sync", 1)
    assert midi.play is not None
    midi.play(SimpleNamespace(type="note_on", note=36, velocity=100, channel=0))
    until(sounding, lambda m: m.arguments[:3] == (1, "kick", "playing"))
    midi.play(SimpleNamespace(type="control_change", control=7, value=127, channel=0))
    midi.play(SimpleNamespace(type="control_change", control=8, value=127, channel=0))
    until(sounding, lambda m: m.arguments[:3] == (2, "bed", "queued"))
    assert sounding.query("/ldm/transport")[2] == 200.0
    sounding.send("/ldm/midi/close")
    sounding.query("/ldm/sync", 2)
    assert midi.play is None
    assert sounding.query("/ldm/midi/list")[1] == ""


def refused(client: Client, address: str, *arguments: Argument) -> None:
    """Send, and raise what is answered."""
    client.send(address, *arguments)
    error = until(client, lambda m: m.address == "/ldm/error")
    kinds = {cls.code: cls for cls in AudioLDMError.__subclasses__()}
    raise kinds[error.arguments[0]](error.arguments[1])


def test_a_take_is_played_captured_and_played_again(
    sounding: Client, takes: Path, stage: Stage
) -> None:
    path = tone(takes / "tone.wav")
    voice, said, frame = sounding.query("/ldm/take/play", "tone.wav")
    assert (said, frame) == (str(path), 0)
    ended = until(sounding, lambda m: m.address == "/ldm/notify/voice" and "ended" in m.arguments)
    assert ended.arguments == (voice, "ended", str(path))
    time.sleep(0.1)
    saved, seconds, peak = sounding.query("/ldm/capture/save", 1.0, "played", "kept/what.wav")
    assert (saved, seconds) == (str(takes / "kept" / "what.wav"), 1.0)
    assert peak == pytest.approx(0.4, abs=0.01)
    again, *_ = sounding.query("/ldm/capture/save", 0.5, "played", "kept/what.wav")
    assert again == str(takes / "kept" / "what 2.wav")
    assert Waveform.read(Path(saved)).channels == 2
    assert sounding.query("/ldm/take/play", saved)[1] == saved


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
    with pytest.raises(InvalidRequest, match="choose the OSC clock first"):
        refused(client, "/ldm/transport/beat", 1.0, 120.0)
    with pytest.raises(NotFound, match="/ldm/nonsense"):
        refused(client, "/ldm/midi/bind", "note", 1, "/ldm/nonsense")
    assert client.query("/ldm/transport/clock", "midi")[4] == "midi"
    with pytest.raises(InvalidRequest, match="the tempo comes from the midi clock"):
        refused(client, "/ldm/transport/tempo", 100.0)


def test_a_bundle_in_the_future_hits_in_the_future(
    sounding: Client, stage: Stage, running: Running, tmp_path: Path
) -> None:
    from osc_bridge.service.service import Context

    loaded(sounding, tmp_path)
    service = running.bridge.service
    client = next(iter(service.clients.notified()))
    when_s = time.time() + 0.3
    handler = service._handlers[PadHit]
    context = Context(client, when_s)
    wanted = running.call(stage.frame_of_time, when_s)
    running.call(handler, PadHit("kick"), context)
    until(sounding, lambda m: m.arguments[:3] == (1, "kick", "playing"))
    voices = running.call(lambda: [p.start.frame for p in stage.player._voices.values()])
    assert abs(voices[0] - wanted) < RATE * 0.02


def test_panic_waits_for_nobody(
    sounding: Client, stage: Stage, takes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for what the same client asked for before, nor does any of that begin after it."""
    path, held = tone(takes / "tone.wav"), threading.Event()
    monkeypatch.setattr("osc_bridge.handlers.sound.list_devices", lambda: held.wait(60) and ())
    voice = sounding.query("/ldm/take/play", str(path), 0.0, 1)[0]
    sounding.send("/ldm/device/list")
    sounding.send("/ldm/take/play", str(path), 0.0, 1)
    sounding.send("/ldm/stop")
    until(sounding, lambda m: m.arguments[:2] == (voice, "ended"))
    assert not held.is_set()
    held.set()
    error = until(sounding, lambda m: m.address == "/ldm/error")
    assert error.arguments[::2] == ("cancelled", "/ldm/take/play")
    assert sounding.query("/ldm/take/play", str(path))[0] > voice


def test_two_who_keep_the_same_name_at_once_get_two_files(
    sounding: Client, running: Running, takes: Path
) -> None:
    sounding.query("/ldm/take/play", str(tone(takes / "tone.wav")), 0.0, 1)
    time.sleep(0.5)
    with running.client() as other:
        for client in (sounding, other):
            client.send("/ldm/capture/save", 0.2, "played", "same.wav")
        saved = [
            until(client, lambda m: m.address == "/ldm/capture/saved").arguments[0]
            for client in (sounding, other)
        ]
    assert sorted(saved) == [str(takes / "same 2.wav"), str(takes / "same.wav")]


def test_a_hit_hours_ahead_is_refused_and_a_late_one_counted(
    sounding: Client, tmp_path: Path
) -> None:
    loaded(sounding, tmp_path)
    late = sounding.query("/ldm/status")[-1]
    hit = OscMessage("/ldm/pad/play", ("kick",))
    sounding.send_bundle([hit], time.time() + 7200)
    error = until(sounding, lambda m: m.address == "/ldm/error")
    assert "are the clocks set alike" in str(error.arguments[1])
    sounding.send_bundle([hit], time.time() - 5)
    until(sounding, lambda m: m.arguments[:3] == (1, "kick", "playing"))
    assert sounding.query("/ldm/status")[-1] == late + 1


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
