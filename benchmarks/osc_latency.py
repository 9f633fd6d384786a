"""How fast OSC is answered: ``python -m benchmarks.osc_latency``.

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.machine import describe_machine
from osc_bridge.client import Client
from osc_bridge.codec import OscMessage

CHANGES_PER_S = 1000
AHEAD_S = 0.05


@contextlib.contextmanager
def instrument(folder: Path) -> Iterator[int]:
    """``audioldm-daw`` for the time of the block; yields its OSC port."""
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
    """One render after the other for the time of the block."""
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


def acceptances(client: Client, count: int) -> list[float]:
    """Milliseconds from a prompt to its acceptance, which is on disk by then."""
    times: list[float] = []
    for number in range(count):
        request_id = f"{os.getpid()}-{time.monotonic_ns()}-{number}"
        message = OscMessage("/ldm/text", (request_id, "rain", "num_inference_steps", 1))
        asked = time.perf_counter()
        told = client.follow(message)
        next(told)
        times.append((time.perf_counter() - asked) * 1e3)
        client.query("/ldm/ping")
        client.send("/ldm/job/cancel", request_id)
        for _ in told:
            pass
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


def row(what: str, times: Sequence[float]) -> str:
    """A line of the table."""
    ordered = sorted(times)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    return f"| {what} | {len(times)} | {at(0.5):.2f} | {at(0.99):.2f} | {ordered[-1]:.2f} |"


def measure(port: int, client: Client, count: int) -> Iterator[str]:
    """The rows, as they are measured."""
    for load in ("idle", "rendering"):
        with rendering(port) if load == "rendering" else contextlib.nullcontext():
            measurements: tuple[tuple[str, Callable[[], list[float]]], ...] = (
                ("ping to pong", lambda: answers(client, "/ldm/ping", count)),
                (
                    "prompt to acceptance (on disk)",
                    lambda: acceptances(client, count // 20),
                ),
                (f"bundle {AHEAD_S * 1e3:.0f} ms ahead", lambda: lateness(client, count // 5)),
                (
                    f"ping beside {CHANGES_PER_S} changes/s",
                    lambda: answers_beside_changes(port, client, count / 200),
                ),
            )
            for what, times in measurements:
                yield row(f"{what}, {load}", times())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="pings; the rest in proportion")
    count = parser.parse_args().count
    machine = describe_machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"load when started: {os.getloadavg()[0]:.1f}\n")
    print("| what | times | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|")
    with (
        tempfile.TemporaryDirectory() as folder,
        instrument(Path(folder)) as port,
        Client(port=port, timeout_s=60) as client,
    ):
        for line in measure(port, client, count):
            print(line, flush=True)


if __name__ == "__main__":
    main()
