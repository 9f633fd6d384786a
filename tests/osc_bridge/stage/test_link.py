"""Ableton Link, in a network of its own that has only a loopback."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("aalink")

LOOPBACK_ONLY = 'ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo && exec "$@"'
PEER = """
import asyncio, sys
from aalink import Link
async def main():
    link = Link(97.5)
    link.quantum = 4
    link.enabled = True
    print("up", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
US = """
import asyncio, subprocess, sys, time
from osc_bridge.stage.clock import Follower, LinkClock
from osc_bridge.stage.transport import Transport

def frame_at(time_ns):
    return round(time_ns * 48000 / 1e9)

async def main():
    transport = Transport(lambda: frame_at(time.monotonic_ns()), 48000, bpm=140.0)
    follower = Follower(transport, frame_at)
    clock = LinkClock(follower, transport)
    async with asyncio.timeout(30):
        while clock.peers != 1 or abs(transport.bpm - 97.5) > 0.01:
            await asyncio.sleep(0.05)
    await asyncio.sleep(2)
    off = []
    for _ in range(40):
        await asyncio.sleep(0.05)
        before = time.monotonic_ns()
        beat = clock._link.beat
        after = time.monotonic_ns()
        if after - before < 300_000:
            frame = frame_at((before + after) // 2)
            off.append(abs(transport.map.beat_at(frame) - beat) * 60 / transport.bpm)
    off.sort()
    clock.set_tempo(110.0)
    await asyncio.sleep(0.5)
    print(round(transport.bpm, 2), off[len(off) // 2])
    await clock.close()

# The session that is older keeps its tempo; who joins follows.
peer = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
peer.stdout.readline()
time.sleep(1)
try:
    asyncio.run(main())
finally:
    peer.terminate()
    peer.wait()
"""


def _can_unshare() -> bool:
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return (
        subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.daw
@pytest.mark.skipif(not _can_unshare(), reason="needs root: unshare -n")
def test_we_share_tempo_and_beat_with_a_peer() -> None:
    completed = subprocess.run(
        ["unshare", "-n", "bash", "-c", LOOPBACK_ONLY, "lo_only",
         sys.executable, "-c", US, PEER],
        capture_output=True, text=True, timeout=90, cwd=Path(__file__).parents[3], check=False,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    bpm, off_s = map(float, completed.stdout.split())
    assert bpm == 110.0
    assert off_s < 0.005
