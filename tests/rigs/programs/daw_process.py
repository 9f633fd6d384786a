"""``audioldm-daw`` as its own process, as people run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def quiet_settings(model: Path, folder: Path) -> tuple[str, ...]:
    """Flags for a small instance that keeps to ``folder``."""
    return (
        *("--model", str(model), "--threads", "1", "--sound-card", "none"),
        *("--takes-folder", str(folder / "takes"), "--state-folder", str(folder / "state")),
    )


def url_in(printed: str) -> str:
    """Where the panel is, from what ``audioldm-daw`` prints."""
    found = re.search(r"http://127\.0\.0\.1:\d+", printed)
    assert found is not None
    return found[0]


@contextmanager
def running_daw(
    *words: str, errors: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """``audioldm-daw`` when it is ready; its OSC port and what it printed.

    What it logs goes to the file ``errors``, where one is named.
    """
    command = (
        sys.executable,
        "-m",
        "osc_bridge.cli",
        "--osc-port",
        "0",
        "--http-port",
        "0",
        *words,
    )
    with (
        (errors or Path(os.devnull)).open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            printed = ""
            while "ready in" not in printed:
                line = process.stdout.readline()
                assert line, f"ended with {process.wait()} after {printed}"
                printed += line
            found = re.search(r"OSC\s+127\.0\.0\.1:(\d+)", printed)
            assert found is not None
            yield process, int(found[1]), printed
        finally:
            if process.poll() is None:
                process.kill()
