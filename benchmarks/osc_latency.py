"""Latency of OSC: ``python -m benchmarks.osc_latency``.

Starts ``audioldm-daw`` on free ports and measures from outside, on the same machine: datagram to
acknowledgement, the jitter of bundles with a time tag, and 1,000 parameter changes a second;
first while nothing is rendered, then while the built-in model renders without a pause. The
table is in Markdown, for docs/latency.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.machine import describe_machine
from osc_bridge.client.client import Client
from osc_bridge.wire.codec import OscMessage

CHANGES_PER_S = 1000
AHEAD_S = 0.05
AIM_MS = (2.0, 10.0)
"""Goal for the acknowledgement of a datagram: p50 and p99."""


@contextlib.contextmanager
def instrument(folder: Path) -> Iterator[int]:
    """Run ``audioldm-daw`` inside the block; yields its OSC port."""
    command = (
        *(sys.executable, "-m", "osc_bridge.cli", "--osc-port", "0", "--http-port", "0"),
        *("--takes-folder", str(folder / "takes"), "--state-folder", str(folder / "state")),
        *("--sound-card", "none"),
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = 0
        for line in process.stdout:
            if found := re.search(r"OSC\s+127\.0\.0\.1:(\d+)", line):
                port = int(found[1])
            if "ready in" in line:
                break
        try:
            yield port
        finally:
            process.terminate()


@contextlib.contextmanager
def rendering(port: int) -> Iterator[None]:
    """Render without a pause inside the block."""
    enough = threading.Event()

    def render() -> None:
        with Client(port=port, timeout_s=60) as client:
            while not enough.is_set():
                client.render("rain on a tin roof")

    thread = threading.Thread(target=render)
    thread.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        enough.set()
        thread.join()


def answers(client: Client, address: str, count: int) -> list[float]:
    """Milliseconds from a question to its answer, asked every few milliseconds."""
    times: list[float] = []
    for _ in range(count):
        asked = time.perf_counter()
        client.query(address, timeout_s=30)
        times.append((time.perf_counter() - asked) * 1e3)
        time.sleep(0.003)
    return times


def prompts(client: Client, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds from a prompt to its acknowledgement, and to its acceptance (on disk)."""
    received: list[float] = []
    accepted: list[float] = []
    for number in range(count):
        request_id = f"{os.getpid()}-{time.monotonic_ns()}-{number}"
        time.sleep(0.02)  # the job before has left the stage
        asked = time.perf_counter()
        client.send("/ldm/text", request_id, "rain", "num_inference_steps", 1)
        for address, times in (("/ldm/job/received", received), ("/ldm/job/accepted", accepted)):
            _until(client, address, request_id)
            times.append((time.perf_counter() - asked) * 1e3)
        client.send("/ldm/job/cancel", request_id)
        while _about(client, request_id).address not in ("/ldm/job/done", "/ldm/job/fail"):
            pass
    return received, accepted


def _until(client: Client, address: str, request_id: str) -> None:
    while _about(client, request_id).address != address:
        pass


def _about(client: Client, request_id: str) -> OscMessage:
    """The next message about one job; others are skipped."""
    while (message := client.receive(60)) is not None:
        if message.arguments[:1] == (request_id,):
            return message
    raise SystemExit(f"no answer to {request_id}")


def flushes(folder: Path, count: int) -> list[float]:
    """Milliseconds that the disk takes to flush a few appended pages."""
    times: list[float] = []
    with (folder / "flushed").open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(bytes(8192))
            begun = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - begun) * 1e3)
            time.sleep(0.003)
    return times


def lateness(client: Client, count: int) -> list[float]:
    """Milliseconds from a bundle's time to the arrival of the answer to what is in it."""
    times: list[float] = []
    for number in range(count):
        when_s = time.time() + AHEAD_S
        client.send_bundle([OscMessage("/ldm/ping", (number,))], when_s)
        while (message := client.receive(30)) is not None and message.arguments != (number,):
            pass
        times.append((time.time() - when_s) * 1e3)
    return times


def answers_beside_changes(port: int, client: Client, seconds: float) -> list[float]:
    """Milliseconds from ping to pong while another client changes 1,000 values a second."""
    enough = threading.Event()
    sent = 0

    def change() -> None:
        nonlocal sent
        started = time.perf_counter()
        with Client(port=port) as other:
            while not enough.is_set():
                due = int((time.perf_counter() - started) * CHANGES_PER_S)
                for number in range(sent, due):
                    other.send("/ldm/set/guidance_scale", number % 50)
                sent = max(sent, due)
                time.sleep(0.002)

    before = client.query("/ldm/status")[7]
    thread = threading.Thread(target=change)
    thread.start()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        times += answers(client, "/ldm/ping", 50)
    enough.set()
    thread.join()
    arrived = client.query("/ldm/status")[7] - before - len(times) - 1
    print(f"    {arrived} of {sent} changes arrived", file=sys.stderr)
    return times


def row(what: str, times: Sequence[float], aim: tuple[float, float] | None = None) -> str:
    """A line of the table."""
    ordered = sorted(times)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    verdict = ""
    if aim is not None:
        met = at(0.5) <= aim[0] and at(0.99) <= aim[1]
        verdict = f"{aim[0]:g} and {aim[1]:g}: {'met' if met else 'not met'}"
    cells = (what, len(times), f"{at(0.5):.2f}", f"{at(0.99):.2f}", f"{ordered[-1]:.2f}", verdict)
    return f"| {' | '.join(map(str, cells))} |"


def measure(port: int, client: Client, folder: Path, count: int) -> Iterator[str]:
    """Yield rows as they are measured, after a warm-up."""
    answers(client, "/ldm/ping", 1)
    prompts(client, 1)
    for load in ("idle", "rendering"):
        with rendering(port) if load == "rendering" else contextlib.nullcontext():
            yield row(f"ping to pong, {load}", answers(client, "/ldm/ping", count))
            received, accepted = prompts(client, count // 5)
            yield row(f"prompt to `/ldm/job/received`, {load}", received, AIM_MS)
            yield row(f"prompt to `/ldm/job/accepted` (on disk), {load}", accepted)
            yield row(f"a flush of the disk by itself, {load}", flushes(folder, count // 5))
            yield row(
                f"bundle {AHEAD_S * 1e3:.0f} ms ahead: its time to the answer, {load}",
                lateness(client, count // 5),
            )
            yield row(
                f"ping beside {CHANGES_PER_S:,} parameter changes a second, {load}",
                answers_beside_changes(port, client, count / 200),
            )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="pings; the rest in proportion")
    count = parser.parse_args().count
    machine = describe_machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"load when started: {os.getloadavg()[0]:.1f}\n")
    print("| what | times | p50 ms | p99 ms | max ms | aim |\n|---|---|---|---|---|---|")
    with (
        tempfile.TemporaryDirectory() as folder,
        instrument(Path(folder)) as port,
        Client(port=port, timeout_s=60) as client,
    ):
        for line in measure(port, client, Path(folder), count):
            print(line, flush=True)


if __name__ == "__main__":
    main()
