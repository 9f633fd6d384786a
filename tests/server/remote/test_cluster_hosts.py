"""A Ray cluster of two hosts, each a network namespace; the cable between them is pulled."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

pytest.importorskip("ray", reason='needs pip install "audioldm-daw[cluster]"')
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        not (sys.platform == "linux" and shutil.which("ip") and os.geteuid() == 0),
        reason="needs root on Linux, for network namespaces",
    ),
]

FIRST, SECOND = "10.77.0.1", "10.77.0.2"
PORT = 6379
PROGRAM = Path(__file__).parents[2] / "rigs" / "programs" / "cluster_hosts.py"
PATIENCE = {
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_worker_niceness": "0",  # Ray gives way to every other program by default
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
}
PORTS = {"metrics-export": 7801, "runtime-env-agent": 7802, "dashboard-agent-listen": 7803}
"""Chosen here, for Ray gives up on a node that does not name them within 15 s."""


def ip(command: str) -> None:
    subprocess.run(("ip", *command.split()), check=True)


def end_all(host: str) -> None:
    """End what still runs on ``host``."""
    listed = subprocess.run(("ip", "netns", "pids", host), stdout=subprocess.PIPE, check=True)
    for pid in map(int, listed.stdout.split()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def two_hosts() -> Iterator[tuple[str, str]]:
    """Names of two namespaces with an address each and a cable between them."""
    names = f"ldm-{os.getpid()}-a", f"ldm-{os.getpid()}-b"
    with ExitStack() as stack:
        for name in names:
            ip(f"netns add {name}")
            stack.callback(ip, f"netns del {name}")
            stack.callback(end_all, name)
            ip(f"-n {name} link set lo up")
        ip(f"-n {names[0]} link add cable type veth peer name cable netns {names[1]}")
        for name, address in zip(names, (FIRST, SECOND), strict=True):
            ip(f"-n {name} addr add {address}/24 dev cable")
            ip(f"-n {name} link set cable up")
        yield names


@contextmanager
def node(host: str, log: Path, *flags: str) -> Iterator[None]:
    """A Ray node on ``host``."""
    ports = (f"--{name}-port={port}" for name, port in PORTS.items())
    command = ("ip", "netns", "exec", host, sys.executable, "-m", "ray.scripts.scripts", "start")
    fixed = ("--block", "--num-cpus=1", f"--object-store-memory={100 * 2**20}", *ports)
    with log.open("wb") as output:
        process = subprocess.Popen(
            (*command, *fixed, *flags),
            env={**os.environ, **PATIENCE},
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()  # what it has started ends with the host
            process.wait()


def wait_for(log: Path, words: str, timeout_s: float = 300.0) -> None:
    until = time.monotonic() + timeout_s
    while words not in log.read_text("utf-8", "replace"):
        assert time.monotonic() < until, log.read_text("utf-8", "replace")
        time.sleep(0.5)


def test_the_cable_between_two_hosts_is_pulled_and_no_job_is_lost(
    tiny_folder: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "first", tmp_path / "second"
    head = ("--head", f"--port={PORT}", f"--node-ip-address={FIRST}", "--include-dashboard=false")
    with two_hosts() as (first, second), ExitStack() as stack:
        stack.enter_context(node(first, logs[0], *head))
        wait_for(logs[0], "Ray runtime started")
        joining = (f"--address={FIRST}:{PORT}", f"--node-ip-address={SECOND}")
        stack.enter_context(node(second, logs[1], *joining))
        wait_for(logs[1], "Ray runtime started")
        program = (sys.executable, PROGRAM, f"{FIRST}:{PORT}", tiny_folder, tmp_path / "takes")
        done = subprocess.run(
            ("ip", "netns", "exec", first, *map(str, program), "cable"),
            env={**os.environ, **PATIENCE},
            capture_output=True,
            text=True,
            check=False,
            timeout=1500,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    print(told)
    assert told["states"] == {"done": 24}, told["errors"]
    assert told["takes"] == 24
    assert told["tried_again"] > 0
