"""Cost of the hop over HTTP: the same jobs in this process and through a server, alternating.

    python -m benchmarks.hop --model FOLDER [--jobs 50] [--json FILE]

Both engines run on this machine and on its clock. The hop is what the server adds before a job is
accepted, and after it has ended; the rendering between, which varies by more, is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.server_process import ServerProcess
from server.engine.engine import Engine
from server.engine.local import LocalEngine
from server.jobs.job import Job
from server.jobs.journal import Journal
from server.remote.client import RemoteClient
from server.remote.remote_engine import RemoteEngine
from server.requests.request import TextToAudio

__all__ = ["main"]

_REQUEST = TextToAudio(prompt="low hum", seed=1, num_inference_steps=2, audio_length_in_s=0.5)


class _Times(NamedTuple):
    """Milliseconds of one job."""

    accept: float
    """From submitting until it is accepted."""
    deliver: float
    """From its end where it was rendered until it is done here."""
    cpu: float
    """Processor time of this process."""


async def _timed(engine: Engine, finished_s: Callable[[str], Awaitable[float]]) -> _Times:
    """One job; ``finished_s`` is the time of a job's end, as its renderer's machine wrote it."""
    done_s: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def follow(job: Job) -> None:
        if job.state.final and not done_s.done():
            done_s.set_result(time.time())

    unlisten = engine.listen(follow)
    started_s, cpu_s = time.perf_counter(), time.process_time()
    try:
        job = await engine.submit(_REQUEST)
        accepted_s = time.perf_counter()
        ended_s = await done_s
    finally:
        unlisten()
    cpu = time.process_time() - cpu_s
    deliver = ended_s - await finished_s(job.id)
    return _Times(*(round(1000 * s, 3) for s in (accepted_s - started_s, deliver, cpu)))


async def _measure(model: Path, folder: Path, url: str, jobs: int) -> dict[str, float]:
    journal = Journal(folder / "here" / "journal.sqlite3")
    here = LocalEngine(model, folder / "here", device="cpu", threads=1, journal=journal)
    there, client = RemoteEngine(url, folder / "there"), RemoteClient(url)

    async def ended_here(job_id: str) -> float:
        return here.job(job_id).finished_s

    async def ended_there(job_id: str) -> float:
        return (await client.job(job_id)).finished_s

    times: dict[str, list[_Times]] = {"local": [], "remote": []}
    try:
        await here.start()
        await there.start()
        for _ in range(jobs):
            times["local"].append(await _timed(here, ended_here))
            times["remote"].append(await _timed(there, ended_there))
    finally:
        await client.close()
        await there.close()
        await here.close()
    return _report(times)


def _report(times: dict[str, list[_Times]]) -> dict[str, float]:
    """Median and least milliseconds of each part; the hop is what the server adds to both."""
    report: dict[str, float] = {}
    chosen_by: dict[str, Callable[[Iterable[float]], float]]
    chosen_by = {"median": statistics.median, "least": min}
    for name, choose in chosen_by.items():
        of = {
            where: _Times(*(choose(part) for part in zip(*every, strict=True)))
            for where, every in times.items()
        }
        for where, chosen in of.items():
            report |= {
                f"{where}_{part}_ms_{name}": round(value, 2)
                for part, value in chosen._asdict().items()
            }
        added = [there - here for here, there in zip(of["local"], of["remote"], strict=True)]
        report[f"hop_ms_{name}"] = round(added[0] + added[1], 2)
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
