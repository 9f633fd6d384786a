"""MIDI: routing, and the real thing over JACK."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jack_server import HAVE_JACK, jack_server
from stage_rig import stage_rig

from osc_bridge.stage.liveset import MidiBinding, parse_set
from osc_bridge.stage.midi import MidiIn, MidiRouter, list_midi_inputs
from server.errors import DeviceError

mido = pytest.importorskip("mido")


class Heard:
    """What a router did."""

    def __init__(self) -> None:
        self.hits: list[tuple[int, float, int]] = []
        self.sent: list[tuple[str, list[object]]] = []
        self.ticks: list[tuple[str, int, int]] = []
        self.router = MidiRouter(
            lambda *hit: self.hits.append(hit),
            lambda *sent: self.sent.append(sent),
            lambda *tick: self.ticks.append(tick),
        )

    def play(self, *messages: object) -> None:
        for time_ns, message in enumerate(messages):
            self.router.receive(message, time_ns)


def test_notes_hit_pads_and_bindings_send_anything() -> None:
    heard = Heard()
    bindings = (
        MidiBinding(address="/ldm/master/gain", arguments=("$value",), control=7, low=-60, high=0),
        MidiBinding(address="/ldm/pad/gain", arguments=("bed", "$value"), control=7, channel=2),
        MidiBinding(address="/ldm/pad/hit", arguments=("$note",), note=60),
    )
    heard.router.map({36: 1, 38: 2}, bindings)
    heard.play(
        mido.Message("note_on", note=36, velocity=127),
        mido.Message("note_on", note=38, velocity=0),
        mido.Message("note_off", note=36),
        mido.Message("note_on", note=99, velocity=64),
        mido.Message("note_on", note=60, velocity=1),
        mido.Message("control_change", control=7, value=127),
        mido.Message("control_change", control=7, value=0, channel=1),
        mido.Message("clock"),
        mido.Message("songpos", pos=16),
        mido.Message("pitchwheel", pitch=100),
    )
    assert heard.hits == [(1, 1.0, 0)]
    assert heard.sent == [
        ("/ldm/pad/hit", [60]),
        ("/ldm/master/gain", [0.0]),
        ("/ldm/master/gain", [-60.0]),
        ("/ldm/pad/gain", ["bed", 0.0]),
    ]
    assert heard.ticks == [("clock", 7, 0), ("songpos", 8, 16)]


def test_a_binding_replaces_that_of_the_same_controller() -> None:
    heard = Heard()
    heard.router.bind(MidiBinding(address="/ldm/stop", control=7))
    heard.router.bind(MidiBinding(address="/ldm/ping", control=7))
    heard.router.bind(MidiBinding(address="/ldm/ping", control=8))
    assert [b.control for b in heard.router.bindings] == [7, 8]
    assert heard.router.bindings[0].address == "/ldm/ping"


def test_a_port_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="MIDI"):
        MidiIn(lambda message, time_ns: None, "no such port 9000")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.daw
@pytest.mark.skipif(not HAVE_JACK, reason="needs jackd2 (make clients)")
def test_notes_controllers_and_clock_over_jack(tiny_folder: Path, tmp_path: Path) -> None:
    """A sequencer on JACK plays a pad, turns a knob and leads the tempo."""
    rtmidi = pytest.importorskip("rtmidi")

    async def run() -> None:
        async with stage_rig(tiny_folder, tmp_path) as rig:
            stage = rig.stage
            await stage.use_set(parse_set(
                b"name: m\npads: [{name: k, prompt: k, mode: one_shot, seconds: 0.5,"
                b" quantise: none, note: 36}]\n"
                b"midi: [{control: 7, address: /ldm/master/gain, arguments: [$value], high: 10}]"
            ))  # fmt: skip
            await rig.until(lambda: stage.pads.reports()[0].state == "ready")
            sent: list[object] = []
            stage.router.send = lambda *message: sent.append(message)
            name = await stage.open_midi("", "UNIX_JACK")
            assert "audioldm" in name
            out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="sequencer")
            out.open_virtual_port("out")
            connect("sequencer", "audioldm")
            assert any("sequencer" in port for port in list_midi_inputs("UNIX_JACK"))
            out.send_message([0x90, 36, 100])
            await until(lambda: bool(stage.player._voices))
            assert (await rig.run(0.1)).any()
            out.send_message([0xB0, 7, 127])
            await until(lambda: bool(sent))
            assert sent == [("/ldm/master/gain", [10.0])]
            await stage.clock.choose("midi")
            out.send_message([0xFA])
            begun = time.monotonic()
            for tick in range(72):
                await asyncio.sleep(max(0.0, begun + tick * 60 / 150 / 24 - time.monotonic()))
                out.send_message([0xF8])
            await asyncio.sleep(0.1)
            assert stage.transport.bpm == pytest.approx(150, abs=8)
            out.close_port()
            out.delete()
            stage.close_midi()

    with jack_server(tmp_path / "jackd.log", period=128):
        asyncio.run(run())


def connect(source: str, sink: str) -> None:
    """Patch the only MIDI port of one JACK client into that of another."""
    listed = subprocess.run(["jack_lsp"], capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    ports = [next(p for p in listed if p.startswith(client)) for client in (source, sink)]
    subprocess.run(["jack_connect", *ports], check=True, capture_output=True)


class Inputs:
    """The inputs of one API."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self.opened: list[str] = []

    def get_input_names(self) -> list[str]:
        if not self._names:
            raise OSError("error creating ALSA sequencer client object")
        return list(self._names)

    def open_input(self, name: str, **_: object) -> Inputs:
        self.opened.append(name)
        self.name = name
        return self


def test_an_api_that_fails_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    apis = {"LINUX_ALSA": Inputs(), "UNIX_JACK": Inputs("piano", "drums")}
    monkeypatch.setattr("osc_bridge.stage.midi._apis", lambda: tuple(apis))
    monkeypatch.setattr("osc_bridge.stage.midi._backend", apis.__getitem__)
    assert list_midi_inputs() == ("piano", "drums")
    assert MidiIn(lambda *_: None, "dru").name == "drums"
    assert MidiIn(lambda *_: None).name == "audioldm"
    assert apis["UNIX_JACK"].opened == ["drums", "audioldm"]
    with pytest.raises(DeviceError, match="LINUX_ALSA: error creating ALSA"):
        list_midi_inputs("LINUX_ALSA")
    apis["UNIX_JACK"] = Inputs()
    with pytest.raises(DeviceError, match=r"LINUX_ALSA: error .*; UNIX_JACK: error"):
        list_midi_inputs()
