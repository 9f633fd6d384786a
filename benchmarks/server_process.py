"""``audioldm-server`` in a separate process, for killing and restarting it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import psutil

__all__ = ["ServerProcess"]


class ServerProcess:
    """A server that keeps its port and folders over kills; ``within`` is a command that runs it."""

    def __init__(self, model: Path, folder: Path, *flags: str, within: Sequence[str] = ()) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            *within,
            *(sys.executable, "-m", "server.cli", "--model", str(model)),
            *("--http-port", str(self.port), "--device", "cpu", "--threads", "1"),
            *("--takes-folder", str(folder / "takes"), "--state-folder", str(folder / "state")),
            *flags,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start it and return when it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout_s: float = 300.0) -> None:
        """Return when the next job can be rendered."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            assert self._process is None or self._process.poll() is None, self.log()
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/ready", trust_env=False).status_code == 200:
                    return
            time.sleep(0.05)
        raise TimeoutError(self.log())

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None
        return self._process.pid

    def worker_pids(self) -> list[int]:
        """Process ids of the workers, one for each loaded model."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.pid).children()
            return [child.pid for child in children if _is_worker(child)]
        return []

    def kill(self) -> None:
        """Kill the server."""
        self.signal(signal.SIGKILL)
        self.wait()

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Return its exit status when it has ended."""
        assert self._process is not None
        status = self._process.wait(300)
        self._process = None
        return status

    def stop(self) -> int:
        """Stop the server, if it runs."""
        if self._process is None:
            return 0
        self.signal(signal.SIGTERM)
        return self.wait()

    def log(self) -> str:
        """Its output."""
        return (self.folder / "log").read_text("utf-8", "replace")


def _is_worker(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return any("server.worker.main" in argument for argument in process.cmdline())
    return False
