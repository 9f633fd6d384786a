"""Our commands, run as people run them."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

QUICK: Final = ("--steps", "2", "--seconds", "0.5", "--threads", "1")
"""Settings of a render that takes no time."""


def run(module: str, *words: str) -> tuple[int, str, str]:
    """The exit code and what was printed on stdout and stderr."""
    done = subprocess.run(
        (sys.executable, "-W", "error", "-m", module, *words),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def daw(*words: str) -> tuple[int, str, str]:
    """The command ``audioldm-daw``."""
    return run("osc_bridge.cli", *words)
