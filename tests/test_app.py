"""The program for people without Python: by double click, with its window, and how it ends.

It is the frozen one in ``dist/`` where ``make app`` has made it, else its script in this Python.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from screen import PROGRAMS, screen

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[1]
FROZEN = ROOT / "dist/audioldm-daw/audioldm-daw"
SCRIPT = (sys.executable, str(ROOT / "deploy/app/app.py"))
APP = (str(FROZEN),) if FROZEN.exists() else SCRIPT
START_S = 120.0
PANEL, QUIT_X, QUIT_FROM_BELOW = (90, 60), 90, 26
"""Places of the window's buttons."""


@pytest.fixture
def environment(tmp_path: Path, tiny_folder: Path) -> dict[str, str]:
    """Settings that keep it to ``tmp_path``, and a browser that writes down what it shall open."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path / "opened"}\n')
    browser.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    return kept | {
        "BROWSER": f"{browser} %s",
        "PYTHONPATH": str(ROOT),
        "AUDIOLDM_MODEL": str(tiny_folder),
        "AUDIOLDM_THREADS": "1",
        "AUDIOLDM_SOUND_CARD": "none",
        "AUDIOLDM_HTTP_PORT": str(free_port()),
        "AUDIOLDM_OSC_PORT": "0",
        "AUDIOLDM_TAKES_FOLDER": str(tmp_path / "takes"),
        "AUDIOLDM_STATE_FOLDER": str(tmp_path / "state"),
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def started(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The program, after it has opened the panel."""
    opened = opened_by(environment)
    with subprocess.Popen(APP, env=environment, start_new_session=True) as process:
        try:
            until(opened.exists, process)
            port = environment["AUDIOLDM_HTTP_PORT"]
            assert opened.read_text() == f"http://127.0.0.1:{port}/\n"
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def opened_by(environment: dict[str, str]) -> Path:
    """What the browser writes down."""
    return Path(environment["BROWSER"].split()[0]).with_name("opened")


def until(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while not true():
        assert process.poll() is None, "it has ended"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def assert_ended(process: subprocess.Popen[bytes]) -> None:
    """It has ended well, and its children with it."""
    assert process.wait(60) in (0, 130)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_without_a_display_it_ends_with_ctrl_c(environment: dict[str, str]) -> None:
    with started(environment) as process:
        process.send_signal(signal.SIGINT)
        assert_ended(process)


needs_screen = pytest.mark.skipif(
    sys.platform != "linux" or not all(map(shutil.which, PROGRAMS[:4])),
    reason=f"{', '.join(PROGRAMS[:4])} are not all here",
)


@needs_screen
def test_its_window_opens_the_panel_again_and_quits(environment: dict[str, str]) -> None:
    with screen() as shown, started(environment | shown.environment) as process:
        shown.find("audioldm-daw")
        opened = opened_by(environment)
        shown.click(*PANEL)
        until(lambda: opened.read_text().count("\n") == 2, process)
        shown.click(QUIT_X, shown.height - QUIT_FROM_BELOW)
        assert_ended(process)


def test_started_again_it_opens_the_panel_of_the_first(environment: dict[str, str]) -> None:
    opened = opened_by(environment)
    with started(environment) as process:
        assert subprocess.run(APP, env=environment, check=False, timeout=60).returncode == 0
        assert opened.read_text().count("\n") == 2
        process.send_signal(signal.SIGTERM)
        assert_ended(process)


def test_with_arguments_it_is_the_command(environment: dict[str, str]) -> None:
    command = (*APP, "model", "list")
    listed = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    assert b"audioldm-s-full-v2" in listed.stdout
