"""Many clients on one engine: throughput with and without batching, and latency of live jobs.

    python -m benchmarks.batching [--model FOLDER] [--rounds 1] [--json FILE]

Each client submits one take after the other. Both ways are tried in turns, in engines that are up
all the time; on a machine that does other work, the minute of processor time is the one to look at.
Then one live take after the other is asked for while a bulk job runs (10 s, 1000
steps): how many of its steps come between submitting the live one and its beginning, and how long
that takes.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import describe_machine
from server.config import built_in_model
from server.engine.local import LocalEngine
from server.jobs.job import Job, JobState
from server.requests.request import TextToAudio

__all__ = ["main"]

_CLIENTS = (1, 2, 4, 8, 16)
_SECONDS = (1.0, 5.12)
_WAYS = {"joined": True, "one at a time": False}
_TAKES = 8
"""In a measurement, or one a client where there are more."""
_LIVE_TAKES = 10


async def _ended(engine: LocalEngine, request: TextToAudio, owner: str = "") -> Job:
    """Wait until the job is final and return it."""
    final: asyncio.Queue[Job] = asyncio.Queue()
    unlisten = engine.listen(lambda job: final.put_nowait(job) if job.state.final else None)
    try:
        job = await engine.submit(request, owner=owner)
        while (last := await final.get()).id != job.id:
            pass
        return last
    finally:
        unlisten()


async def _measured(engine: LocalEngine, clients: int, length_s: float) -> dict[str, float]:
    """Takes a minute by the clock, and a minute of the worker's processor time."""
    request = TextToAudio(prompt="rain on a tin roof", audio_length_in_s=length_s)
    left = max(_TAKES, clients)

    async def client(number: int) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await _ended(engine, request, owner=str(number))

    takes = left
    worker = psutil.Process(engine.status().details["worker_pid"])
    before, started = worker.cpu_times(), time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    after, ended = worker.cpu_times(), time.perf_counter()
    spent_s = after.user + after.system - before.user - before.system
    return {"clock": 60.0 * takes / (ended - started), "processor": 60.0 * takes / spent_s}


async def _throughput(model: Path, folder: Path, rounds: int) -> list[dict[str, Any]]:
    engines = {
        way: LocalEngine(model, folder / way, device="cpu", threads=1, joining=joining)
        for way, joining in _WAYS.items()
    }
    found: dict[tuple[float, int, str], list[dict[str, float]]] = defaultdict(list)
    try:
        for engine in engines.values():
            await engine.start()
        for _, length_s, clients in itertools.product(range(rounds), _SECONDS, _CLIENTS):
            for way, engine in engines.items():
                found[length_s, clients, way].append(await _measured(engine, clients, length_s))
    finally:
        for engine in engines.values():
            await engine.close()
    return [
        {
            "length_s": length_s,
            "clients": clients,
            **{
                f"{way}, {minute}": round(
                    statistics.mean(one[minute] for one in found[length_s, clients, way]), 1
                )
                for minute in ("processor", "clock")
                for way in _WAYS
            },
        }
        for length_s, clients in itertools.product(_SECONDS, _CLIENTS)
    ]


async def _live_once(engine: LocalEngine, request: TextToAudio) -> dict[str, float]:
    """Milliseconds until it begins and ends; bulk steps before it began and while it ran."""
    events: list[tuple[float, Job]] = []
    unlisten = engine.listen(lambda job: events.append((time.perf_counter(), job)))
    started = time.perf_counter()
    try:
        end = await _ended(engine, request)
    finally:
        unlisten()
    began = next(at for at, job in events if job.id == end.id and job.state is JobState.RUNNING)
    bulk = [at for at, job in events if job.id != end.id and job.state is JobState.RUNNING]
    return {
        "begins_ms": 1000 * (began - started),
        "ends_ms": 1000 * (time.perf_counter() - started),
        "bulk_steps_before": sum(at < began for at in bulk),
        "bulk_steps_meanwhile": sum(at >= began for at in bulk),
    }


async def _live(model: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Medians alone and under bulk load, and the most bulk steps."""
    engine = LocalEngine(model, folder, device="cpu", threads=1)
    live = TextToAudio(prompt="a dog barks", audio_length_in_s=1.0)
    # One take in one window: each step it reports is one unet call.
    bulk = TextToAudio(
        prompt="rain", audio_length_in_s=10.0, num_inference_steps=1000, priority="bulk"
    )
    await engine.start()
    try:
        found = {"alone": [await _live_once(engine, live) for _ in range(_LIVE_TAKES)]}
        job = await engine.submit(bulk)
        while not engine.job(job.id).num_steps:
            await asyncio.sleep(0.05)
        found["under bulk load"] = [await _live_once(engine, live) for _ in range(_LIVE_TAKES)]
        await engine.cancel(job.id)
    finally:
        await engine.close()
    return {name: _summary(runs) for name, runs in found.items()}


def _summary(runs: list[dict[str, float]]) -> dict[str, float]:
    return {
        "begins_ms": round(statistics.median(run["begins_ms"] for run in runs), 1),
        "begins_ms_worst": round(max(run["begins_ms"] for run in runs), 1),
        "ends_ms": round(statistics.median(run["ends_ms"] for run in runs), 1),
        "bulk_steps_before_worst": max(run["bulk_steps_before"] for run in runs),
        "bulk_steps_meanwhile_worst": max(run["bulk_steps_meanwhile"] for run in runs),
    }


def _print(result: dict[str, Any]) -> None:
    names = list(result["takes_a_minute"][0])
    print("| " + " | ".join(names) + " | ratio |")
    print("|---" * (len(names) + 1) + "|")
    for row in result["takes_a_minute"]:
        ratio = row["joined, processor"] / row["one at a time, processor"]
        print("| " + " | ".join(f"{row[name]:g}" for name in names) + f" | {ratio:.2f} |")
    for name, figures in result["live"].items():
        print(f"live {name}: " + ", ".join(f"{key} {value:g}" for key, value in figures.items()))


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print, return the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=built_in_model())
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the result here too")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = {
            "machine": describe_machine(),
            "live": asyncio.run(_live(options.model, folder)),
            "takes_a_minute": asyncio.run(_throughput(options.model, folder, options.rounds)),
        }
    _print(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main()
