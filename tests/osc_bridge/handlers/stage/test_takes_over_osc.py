"""Takes are played and captured; a panic stops what is waiting too."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from stage_over_osc import Running, tone, until

from osc_bridge.client.client import Client
from osc_bridge.stage.stage import Stage
from server.audio.waveform import Waveform

pytestmark = pytest.mark.integration


def test_a_take_is_played_captured_and_played_again(
    opened: Client, takes: Path, stage: Stage
) -> None:
    path = tone(takes / "tone.wav")
    voice, played, frame = opened.query("/ldm/take/play", "tone.wav")
    assert (played, frame) == (str(path), 0)
    ended = until(opened, lambda m: m.address == "/ldm/notify/voice" and "ended" in m.arguments)
    assert ended.arguments == (voice, "ended", str(path))
    time.sleep(0.1)
    saved, seconds, peak = opened.query("/ldm/capture/save", 1.0, "played", "kept/what.wav")
    assert (saved, seconds) == (str(takes / "kept" / "what.wav"), 1.0)
    assert peak == pytest.approx(0.4, abs=0.01)
    again, *_ = opened.query("/ldm/capture/save", 0.5, "played", "kept/what.wav")
    assert again == str(takes / "kept" / "what 2.wav")
    assert Waveform.read(Path(saved)).channels == 2
    assert opened.query("/ldm/take/play", saved)[1] == saved


def test_panic_waits_for_nobody(
    opened: Client, stage: Stage, takes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for what the same client asked for before, nor does any of that begin after it."""
    path, held = tone(takes / "tone.wav"), threading.Event()
    monkeypatch.setattr("osc_bridge.handlers.sound.list_devices", lambda: held.wait(60) and ())
    voice = opened.query("/ldm/take/play", str(path), 0.0, 1)[0]
    opened.send("/ldm/device/list")
    opened.send("/ldm/take/play", str(path), 0.0, 1)
    opened.send("/ldm/stop")
    until(opened, lambda m: m.arguments[:2] == (voice, "ended"))
    assert not held.is_set()
    held.set()
    error = until(opened, lambda m: m.address == "/ldm/error")
    assert error.arguments[::2] == ("cancelled", "/ldm/take/play")
    assert opened.query("/ldm/take/play", str(path))[0] > voice


def test_two_who_keep_the_same_name_at_once_get_two_files(
    opened: Client, running: Running, takes: Path
) -> None:
    opened.query("/ldm/take/play", str(tone(takes / "tone.wav")), 0.0, 1)
    time.sleep(0.5)
    with running.client() as other:
        for client in (opened, other):
            client.send("/ldm/capture/save", 0.2, "played", "same.wav")
        saved = [
            until(client, lambda m: m.address == "/ldm/capture/saved").arguments[0]
            for client in (opened, other)
        ]
    assert sorted(saved) == [str(takes / "same 2.wav"), str(takes / "same.wav")]
