"""A throw-away JACK server with the dummy driver, and recording from it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

HAVE_JACK = shutil.which("jackd") is not None


class JackServer:
    """``jackd -d dummy`` under a private name."""

    def __init__(
        self, log: Path, sample_rate: int = 48000, period: int = 1024, realtime: bool = False
    ) -> None:
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        self.log = log
        self.sample_rate, self.period, self.realtime = sample_rate, period, realtime
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, sample_rate: int = 0) -> None:
        """Come up; returns when clients can connect."""
        self.sample_rate = sample_rate or self.sample_rate
        driver = ["-d", "dummy", "-r", str(self.sample_rate), "-p", str(self.period)]
        priority = "-R" if self.realtime else "-r"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["jackd", priority, "-n", self.name, *driver, "-C", "2", "-P", "2"],
                stdout=log, stderr=log,
            )  # fmt: skip
        subprocess.run(
            ["jack_wait", "-s", self.name, "-w", "-t", "10"], check=True, capture_output=True
        )

    def stop(self) -> None:
        """Go away, as a crashed or unplugged device does."""
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


@contextlib.contextmanager
def jack_server(log: Path, **settings: int) -> Iterator[JackServer]:
    """A running server that every JACK client in this process and its children uses."""
    server = JackServer(log, **settings)
    names = {
        "JACK_DEFAULT_SERVER": server.name,
        "JACK_NO_AUDIO_RESERVATION": "1",
        "JACK_NO_START_SERVER": "1",
    }
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


class Recorder:
    """A JACK client that keeps what a port plays; connect before the sound begins."""

    def __init__(self, pattern: str, seconds: float) -> None:
        import jack

        self.client = jack.Client("recorder", no_start_server=True)
        ports = self.client.get_ports(pattern, is_audio=True, is_output=True)
        if not ports:
            raise AssertionError(f"no JACK port matches {pattern!r}")
        self._inputs = [self.client.inports.register(f"in_{n}") for n, _ in enumerate(ports)]
        rate = self.client.samplerate
        self.samples = np.zeros((int(seconds * rate), len(ports)), np.float32)
        self.frames = 0
        self.xruns = 0
        self.client.set_process_callback(self._process)
        self.client.set_xrun_callback(self._xrun)
        self.client.activate()
        for port, mine in zip(ports, self._inputs, strict=True):
            self.client.connect(port, mine)

    def _process(self, frames: int) -> None:
        room = min(frames, self.samples.shape[0] - self.frames)
        for channel, port in enumerate(self._inputs):
            self.samples[self.frames : self.frames + room, channel] = port.get_array()[:room]
        self.frames += room

    def _xrun(self, delay: float) -> None:
        self.xruns += 1

    def close(self) -> None:
        """Leave the server."""
        self.client.deactivate()
        self.client.close()


def find_in(recording: npt.NDArray[np.float32], sound: npt.NDArray[np.float32]) -> int:
    """Where the first non-zero sample of ``sound`` was recorded; both [frames, channels]."""
    heard = np.flatnonzero(np.abs(recording).max(axis=1))
    begins = np.flatnonzero(np.abs(sound).max(axis=1))
    if not heard.size:
        raise AssertionError("nothing was recorded")
    return int(heard[0] - begins[0])
