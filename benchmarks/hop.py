"""Cost of the hop over HTTP: the same jobs in this process and through a server, alternating.

    python -m benchmarks.hop --model FOLDER [--jobs 50] [--json FILE]

Both engines run on this machine, so that the difference is the hop: submit, events, download.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.server_process import ServerProcess
from server.engine.engine import Engine
from server.engine.local import LocalEngine
from server.jobs.journal import Journal
from server.remote.remote_engine import RemoteEngine
from server.requests.request import TextToAudio

__all__ = ["main"]

_REQUEST = TextToAudio(prompt="low hum", seed=1, num_inference_steps=2, audio_length_in_s=0.5)


async def _timed(engine: Engine) -> tuple[float, float]:
    """Milliseconds until the job is accepted, and until its takes are here."""
    finished = asyncio.Event()
    unlisten = engine.listen(lambda job: finished.set() if job.state.final else None)
    started = time.perf_counter()
    try:
        await engine.submit(_REQUEST)
        accepted = time.perf_counter()
        await finished.wait()
    finally:
        unlisten()
    return 1000 * (accepted - started), 1000 * (time.perf_counter() - started)


async def _measure(model: Path, folder: Path, url: str, jobs: int) -> dict[str, float]:
    journal = Journal(folder / "here" / "journal.sqlite3")
    here = LocalEngine(model, folder / "here", device="cpu", threads=1, journal=journal)
    there = RemoteEngine(url, folder / "there")
    times: dict[str, list[tuple[float, float]]] = {"local": [], "remote": []}
    try:
        await here.start()
        await there.start()
        for _ in range(jobs):
            times["local"].append(await _timed(here))
            times["remote"].append(await _timed(there))
    finally:
        await there.close()
        await here.close()
    report = {}
    for name, pairs in times.items():
        for part, values in zip(("accepted", "done"), zip(*pairs, strict=True), strict=True):
            report[f"{name}_{part}_ms_median"] = round(statistics.median(values), 2)
            report[f"{name}_{part}_ms_least"] = round(min(values), 2)
    report["hop_ms_median"] = round(
        report["remote_done_ms_median"] - report["local_done_ms_median"], 2
    )
    report["hop_ms_least"] = round(
        report["remote_done_ms_least"] - report["local_done_ms_least"], 2
    )
    return report


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="model folder; a small one")
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--json", type=Path, help="write the result here too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(options.model, Path(folder) / "server")
        server.start()
        try:
            report = asyncio.run(_measure(options.model, Path(folder), server.url, options.jobs))
        finally:
            server.stop()
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
