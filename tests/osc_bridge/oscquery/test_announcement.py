"""mDNS announcement, in a network of its own that has only a loopback."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("zeroconf")

pytestmark = pytest.mark.integration

LOOPBACK_ONLY = 'ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo && exec "$@"'
BOTH = """
import asyncio
from zeroconf import ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf
from osc_bridge.oscquery.announcement import announced

KINDS = ["_oscjson._tcp.local.", "_osc._udp.local."]

async def main():
    async with asyncio.timeout(60), AsyncZeroconf(interfaces=["127.0.0.1"]) as ours:
        seen, changed = {}, asyncio.Event()

        def changes(zeroconf, service_type, name, state_change):
            seen[service_type] = (name, state_change)
            changed.set()

        async def until(state):
            while [seen.get(kind, ("", None))[1] for kind in KINDS] != [state, state]:
                changed.clear()
                await changed.wait()

        browser = AsyncServiceBrowser(ours.zeroconf, KINDS, handlers=[changes])
        async with announced("127.0.0.1", 9536, 9537):
            await until(ServiceStateChange.Added)
            for kind in KINDS:
                info = await ours.async_get_service_info(kind, seen[kind][0])
                print(kind, info.parsed_addresses()[0], info.port)
        await until(ServiceStateChange.Removed)
        await browser.async_cancel()

asyncio.run(main())
"""


def _can_unshare() -> bool:
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return (
        subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.daw
@pytest.mark.skipif(not _can_unshare(), reason="needs root: unshare -n")
def test_a_browser_finds_us_and_loses_us() -> None:
    completed = subprocess.run(
        ["unshare", "-n", "bash", "-c", LOOPBACK_ONLY, "lo_only", sys.executable, "-c", BOTH],
        capture_output=True,
        text=True,
        timeout=90,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.splitlines() == [
        "_oscjson._tcp.local. 127.0.0.1 9537",
        "_osc._udp.local. 127.0.0.1 9536",
    ]
