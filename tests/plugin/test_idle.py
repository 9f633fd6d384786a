"""Many instances that do nothing cost nearly nothing."""

from __future__ import annotations

from collections.abc import Callable

import psutil
from clap_host import ClapHost
from companion import Companion

NUM_INSTANCES = 32
SECONDS = 6.0


def test_32_idle_instances_cost_at_most_5_percent_of_a_core(
    start_host: Callable[..., ClapHost], companion: Companion
) -> None:
    host = start_host(companion.port)
    for number in range(NUM_INSTANCES - 1):
        host.new(f"idle-{number}")
    process = psutil.Process(host.process.pid)
    host.ask("runall 2 512")
    before = process.cpu_times()
    memory = process.memory_info().rss
    host.ask(f"runall {SECONDS} 512")
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    print(f"{NUM_INSTANCES} instances: {used / SECONDS:.1%} of a core, {memory >> 20} MiB")
    assert used / SECONDS <= 0.05
    assert host.get("Connected") == 1
