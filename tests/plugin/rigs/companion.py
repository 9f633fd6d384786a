"""``audioldm-daw`` that tests start, stop, freeze and kill on one port."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NOBODY = "9"
"""A port where no companion answers."""


def environment(folder: Path, port: int | str = NOBODY) -> dict[str, str]:
    """Folders of the test's own, and the companion's port."""
    return {
        "AUDIOLDM_OSC_PORT": str(port),
        "AUDIOLDM_PLUGIN_FOLDER": str(folder / "captures"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "HOME": str(folder),
    }


def free_port() -> int:
    """A port that is free for UDP and TCP now."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = int(tcp.getsockname()[1])
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port


class Companion:
    """Its takes and its journal stay in `folder` from one start to the next."""

    def __init__(self, model: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.takes = folder, folder / "takes"
        self.port, self.http_port = free_port(), free_port()
        self._model = model
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Come up; returns when it answers."""
        command = [
            sys.executable, "-m", "osc_bridge.cli", "--model", str(self._model),
            "--osc-port", str(self.port), "--http-port", str(self.http_port),
            "--takes-folder", str(self.takes), "--state-folder", str(self.folder / "state"),
            "--device", "cpu", "--threads", "1", "--sound-card", "none", "--no-announce",
        ]  # fmt: skip
        with (self.folder / "companion.log").open("a") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "ready in" in line:
                return
        raise AssertionError((self.folder / "companion.log").read_text()[-3000:])

    def send(self, number: signal.Signals) -> None:
        """A signal: SIGSTOP freezes it, SIGCONT thaws it."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it, or kill it."""
        if self._process is None:
            return
        with self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(60)
        self._process = None


@contextlib.contextmanager
def running_companion(model: Path, folder: Path) -> Iterator[Companion]:
    """Started, and stopped at the end."""
    companion = Companion(model, folder)
    companion.start()
    try:
        yield companion
    finally:
        companion.stop()
