"""A JACK server with the dummy driver, its example client, and playback in this process."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from osc_bridge.audio.arena import Arena
from osc_bridge.audio.device import DeviceSettings, Opened
from osc_bridge.audio.portaudio import open_stream

__all__ = ["RATE", "InProcess", "bare_client", "jack_dummy"]


RATE = 48000


class InProcess:
    """An output whose callback runs in this process, and so waits for the GIL."""

    def __init__(self) -> None:
        self._stream: Any = None

    async def open(self, arena: Arena, settings: DeviceSettings, frame: int) -> Opened:
        self._stream, opened = open_stream(arena, settings, lambda rate: frame)
        return opened

    async def close(self) -> None:
        if self._stream is not None:
            self._stream.close(ignore_errors=True)
            self._stream = None

    def failure(self) -> str:
        return ""


@contextlib.contextmanager
def jack_dummy(period: int) -> Iterator[Path]:
    """A JACK server for this process and its children; yields its log."""
    name = f"bench-{os.getpid()}"
    os.environ |= {
        "JACK_DEFAULT_SERVER": name, "JACK_NO_AUDIO_RESERVATION": "1", "JACK_NO_START_SERVER": "1",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "jackd.log"
        with log.open("wb") as out:
            server = subprocess.Popen(
                ["jackd", "-R", "-n", name, "-d", "dummy", "-r", str(RATE), "-p", str(period)],
                stdout=out, stderr=out,
            )  # fmt: skip
        try:
            subprocess.run(
                ["jack_wait", "-s", name, "-w", "-t", "10"], check=True, capture_output=True
            )
            yield log
        finally:
            server.terminate()
            server.wait()


@contextlib.contextmanager
def bare_client() -> Iterator[None]:
    """JACK's own example client, for comparison."""
    program = shutil.which("jack_simple_client")
    if program is None:
        yield
        return
    command = [program, "witness", os.environ["JACK_DEFAULT_SERVER"]]
    client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        client.terminate()
        client.wait()
