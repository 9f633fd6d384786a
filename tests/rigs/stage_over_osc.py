"""The stage through a socket: what its tests send, and how they wait for the answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy_engine import NumpyEngine
from running_bridge import RunningBridge

from osc_bridge.audio.arena import ArenaShape
from osc_bridge.client.client import Client
from osc_bridge.wire.codec import Argument, OscMessage
from server.audio.waveform import Waveform
from server.errors import error_for

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


def until(
    client: Client, true: Callable[[OscMessage], bool], timeout_s: float = 10.0
) -> OscMessage:
    """The next message for which ``true`` holds."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        message = client.receive(0.5)
        if message and true(message):
            return message
    raise AssertionError("that message did not come")


def is_ready(message: OscMessage, number: int) -> bool:
    return message.arguments[:3:2] == (number, "ready")


def refused(client: Client, address: str, *arguments: Argument) -> None:
    """Send a message and raise the error of its answer."""
    client.send(address, *arguments)
    error = until(client, lambda m: m.address == "/ldm/error")
    raise error_for(error.arguments[0], error.arguments[1])
