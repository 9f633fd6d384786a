"""The end of an audio process that another program, which has died, had started."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from player_rig import SHAPE

from osc_bridge.audio.arena import Arena, Gauge
from osc_bridge.audio.card import CardOutput
from osc_bridge.audio.device import DeviceSettings, Opened, Playing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks at what processes run")
SLEEP = "import sys, time; sys.stdout.write('up'); sys.stdout.flush(); time.sleep(60)"


@contextmanager
def sleeping(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = (sys.executable, "-c", SLEEP, *arguments)
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.read(2) == b"up"
        try:
            yield process
        finally:
            process.kill()


def end_adopted(pid: int) -> float:
    """Adopt a process that says that it plays, and close it; how long that took in seconds."""
    settings = DeviceSettings(device="none")
    arena = Arena.create(SHAPE)
    arena.gauges[Gauge.STATE] = 1
    found = Playing(
        pid=pid, stamp=int(arena.gauges[Gauge.STAMP]), arena=str(arena.path), shape=SHAPE,
        settings=settings, opened=Opened(name="none"),
    )  # fmt: skip

    async def run() -> float:
        card = CardOutput(found=found)
        await card.open(arena, settings, 0)
        begun = time.monotonic()
        await card.close()
        return time.monotonic() - begun

    try:
        return asyncio.run(run())
    finally:
        arena.close()


def test_one_that_crashed_is_not_waited_for() -> None:
    gone = subprocess.Popen((sys.executable, "-c", ""))
    gone.wait()
    assert end_adopted(gone.pid) < 1.0


def test_another_program_that_got_its_number_lives_on() -> None:
    with sleeping() as other:
        assert end_adopted(other.pid) < 1.0
        assert other.poll() is None


@pytest.mark.integration
def test_one_that_hangs_is_killed() -> None:
    with sleeping("osc_bridge.audio.process") as hanging:
        assert end_adopted(hanging.pid) > 2.0
        assert hanging.wait(5) == -9
