"""Start what the tests here drive: ``audioldm-daw`` itself, and programs that talk to it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from osc_bridge.client.client import Client
from server.audio.waveform import Waveform

__all__ = [
    "CLIENTS",
    "Instrument",
    "assert_only_changed_within",
    "needs",
    "run_program",
    "running_instrument",
    "running_jack",
]

CLIENTS = Path(__file__).parents[3] / "clients"
_READY = re.compile(r"OSC +.*?:(\d+)")


@dataclass(frozen=True)
class Instrument:
    """A running ``audioldm-daw``."""

    port: int
    takes: Path
    log: Path

    def client(self) -> Client:
        """Somebody at its UDP port."""
        return Client(port=self.port)

    def clip(self, name: str, seconds: float, sample_rate: int) -> Path:
        """A quiet sound file to work on, in the takes folder."""
        times = np.arange(round(seconds * sample_rate)) / sample_rate
        samples = (0.25 * np.sin(2 * np.pi * 220 * times)).astype(np.float32)
        path = self.takes / name
        path.write_bytes(Waveform(samples[:, None], sample_rate).encode("wav32f"))
        return path


@contextlib.contextmanager
def running_instrument(model: Path, folder: Path) -> Iterator[Instrument]:
    """``audioldm-daw`` on free ports, shut down at the end."""
    takes, log = folder / "takes", folder / "log.txt"
    takes.mkdir()
    flags = ("--osc-port", "0", "--http-port", "0", "--device", "cpu", "--threads", "1")
    folders = ("--takes-folder", str(takes), "--state-folder", str(folder / "state"))
    settings = ("--model", str(model), "--sound-card", "none", "--trace-osc")
    with log.open("w") as stderr:
        process = subprocess.Popen(
            (sys.executable, "-m", "osc_bridge.cli", *flags, *folders, *settings),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    with process, process.stdout:
        try:
            ports = (found for line in process.stdout if (found := _READY.search(line)))
            ready = next(ports, None)
            assert ready, f"audioldm-daw ended before it was ready:\n{log.read_text()}"
            yield Instrument(int(ready[1]), takes, log)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


@contextlib.contextmanager
def running_jack(log: Path) -> Iterator[dict[str, str]]:
    """A JACK server with the dummy driver; yields the environment that leads to it."""
    name = f"daw-{uuid.uuid4().hex[:8]}"
    driver = ("-d", "dummy", "-r", "48000", "-p", "1024")
    with log.open("wb") as output:
        process = subprocess.Popen(
            ("jackd", "-r", "-n", name, *driver), stdout=output, stderr=output
        )
    with process:
        try:
            subprocess.run(("jack_wait", "-s", name, "-w", "-t", "10"), check=True)
            yield {
                "JACK_DEFAULT_SERVER": name,
                "JACK_NO_AUDIO_RESERVATION": "1",
                "JACK_NO_START_SERVER": "1",
            }
        finally:
            process.terminate()


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip where one of the programs is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    reason = f"not installed (tests/daw/install.sh does it): {', '.join(missing)}"
    return pytest.mark.skipif(bool(missing), reason=reason)


def run_program(
    command: Sequence[str | Path],
    *,
    timeout_s: float = 60,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Everything the program printed; fails the test where it does not end by itself."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
        timeout=timeout_s,
        check=False,
    )
    return done.stdout.decode("utf-8", "replace")


def assert_only_changed_within(
    clip: Path, edited: Path, start_s: float, end_s: float, crossfade_s: float = 0.02
) -> None:
    """``edited`` is ``clip`` with news between the two times, and equal to the bit elsewhere."""
    before, after = Waveform.read(clip), Waveform.read(edited)
    assert (before.sample_rate, before.samples.shape) == (after.sample_rate, after.samples.shape)
    changed = np.flatnonzero((before.samples != after.samples).any(axis=1)) / before.sample_rate
    assert changed.size, "nothing is new"
    assert start_s - crossfade_s <= changed[0] <= start_s + crossfade_s
    assert end_s - crossfade_s <= changed[-1] <= end_s + crossfade_s
