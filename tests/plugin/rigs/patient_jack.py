"""A JACK server for programs with windows: on a busy machine it waits instead of dropping them."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

_PATIENCE_MS = 2000


@contextlib.contextmanager
def patient_jack(log: Path) -> Iterator[dict[str, str]]:
    """The dummy driver; yields the environment that leads to it."""
    name = f"patient-{uuid.uuid4().hex[:8]}"
    command = (
        "jackd",
        "-r",
        "-S",
        "-t",
        str(_PATIENCE_MS),
        "-n",
        name,
        "-d",
        "dummy",
        "-r",
        "48000",
    )
    with log.open("wb") as output:
        server = subprocess.Popen((*command, "-p", "1024"), stdout=output, stderr=output)
    with server:
        try:
            subprocess.run(
                ("jack_wait", "-s", name, "-w", "-t", "20"), check=True, capture_output=True
            )
            yield {
                "JACK_DEFAULT_SERVER": name,
                "JACK_NO_AUDIO_RESERVATION": "1",
                "JACK_NO_START_SERVER": "1",
            }
        finally:
            server.terminate()
