"""Pads, from OSC and from a keyboard, now and at the time of a bundle."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from stage_over_osc import RATE, Keyboard, Running, loaded, refused, until

from osc_bridge.client.client import Client
from osc_bridge.messages.stage.pads import PadHit
from osc_bridge.stage.stage import Stage
from osc_bridge.wire.codec import OscMessage
from server.errors import DeviceError, InvalidRequest, NotFound

pytestmark = pytest.mark.integration


def test_pads_over_osc(opened: Client, stage: Stage, tmp_path: Path) -> None:
    loaded(opened, tmp_path)
    opened.send("/ldm/pad/hit", 2, 0.8)
    state = until(opened, lambda m: m.address == "/ldm/notify/pad" and m.arguments[0] == 2)
    assert state.arguments[1:3] == ("bed", "queued")
    until(opened, lambda m: m.arguments[:3] == (2, "bed", "playing"))
    opened.send("/ldm/pad/gain", "bed", -20.0)
    opened.send("/ldm/pad/play", "kick")
    until(opened, lambda m: m.arguments[:3] == (1, "kick", "playing"))
    opened.send("/ldm/pad/refresh", "bed", "brighter bed")
    until(opened, lambda m: m.arguments[:5] == (2, "bed", "playing", 1, 1))
    until(opened, lambda m: m.arguments[:5] == (2, "bed", "playing", 1, 0))
    opened.send("/ldm/transport/tempo", 200.0)
    opened.send("/ldm/pad/stop", "bed")
    until(opened, lambda m: m.arguments[:3] == (2, "bed", "ready"))
    assert stage.player.status().glitches == 0
    with pytest.raises(NotFound, match="pad 9: there are pads 1 to 2"):
        refused(opened, "/ldm/pad/hit", 9)
    with pytest.raises(InvalidRequest, match=r"velocity must be at most 1 \(got 3\.0\)"):
        refused(opened, "/ldm/pad/hit", 1, 3.0)


def test_a_keyboard_over_osc(opened: Client, midi: Keyboard, tmp_path: Path) -> None:
    """Its notes hit pads, its controllers send what they are bound to, and only while it is open.

    The port is a stand-in; test_midi.py has a real one, over JACK.
    """
    loaded(opened, tmp_path)
    assert opened.query("/ldm/midi/list") == ("the keyboard\nanother", "")
    with pytest.raises(DeviceError, match="no MIDI inputs for 'piano'"):
        opened.query("/ldm/midi/open", "piano")
    assert opened.query("/ldm/midi/open", "keyboard") == ("", "the keyboard")
    opened.send("/ldm/midi/bind", "control", 7, "/ldm/transport/tempo", "$value", 60.0, 200.0)
    opened.send("/ldm/midi/bind", "control", 8, "/ldm/pad/hit", "bed", 0.0, 1.0)
    opened.query("/ldm/sync", 1)
    assert midi.play is not None
    midi.play(SimpleNamespace(type="note_on", note=36, velocity=100, channel=0))
    until(opened, lambda m: m.arguments[:3] == (1, "kick", "playing"))
    midi.play(SimpleNamespace(type="control_change", control=7, value=127, channel=0))
    midi.play(SimpleNamespace(type="control_change", control=8, value=127, channel=0))
    until(opened, lambda m: m.arguments[:3] == (2, "bed", "queued"))
    assert opened.query("/ldm/transport")[2] == 200.0
    opened.send("/ldm/midi/close")
    opened.query("/ldm/sync", 2)
    assert midi.play is None
    assert opened.query("/ldm/midi/list")[1] == ""


def test_a_bundle_in_the_future_hits_in_the_future(
    opened: Client, stage: Stage, running: Running, tmp_path: Path
) -> None:
    from osc_bridge.service.service import Context

    loaded(opened, tmp_path)
    service = running.bridge.service
    client = next(iter(service.clients.notified()))
    when_s = time.time() + 0.3
    handler = service._handlers[PadHit]
    context = Context(client, when_s)
    wanted = running.call(stage.frame_at_time, when_s)
    running.call(handler, PadHit("kick"), context)
    until(opened, lambda m: m.arguments[:3] == (1, "kick", "playing"))
    voices = running.call(lambda: [p.start.frame for p in stage.player._voices.values()])
    assert abs(voices[0] - wanted) < RATE * 0.02


def test_a_hit_hours_ahead_is_refused_and_a_late_one_counted(
    opened: Client, tmp_path: Path
) -> None:
    loaded(opened, tmp_path)
    late = opened.query("/ldm/status")[-1]
    hit = OscMessage("/ldm/pad/play", ("kick",))
    opened.send_bundle([hit], time.time() + 7200)
    error = until(opened, lambda m: m.address == "/ldm/error")
    assert "are the clocks set alike" in str(error.arguments[1])
    opened.send_bundle([hit], time.time() - 5)
    until(opened, lambda m: m.arguments[:3] == (1, "kick", "playing"))
    assert opened.query("/ldm/status")[-1] == late + 1
