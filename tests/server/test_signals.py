"""SIGINT and SIGTERM ask a program to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, os, sys
from server.signals import on_stop_signal

async def scenario():
    calls = asyncio.Queue()
    on_stop_signal(lambda: calls.put_nowait(1))
    for _ in range(2):
        os.kill(os.getpid(), int(sys.argv[1]))
        await asyncio.wait_for(calls.get(), 30)
    return calls.qsize()

sys.exit(asyncio.run(scenario()))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are sent otherwise on Windows")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_signal_calls(number: signal.Signals) -> None:
    # In a program of its own: a signal that is not caught would end that of the tests.
    command = (sys.executable, "-c", PROGRAM, str(int(number)))
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
