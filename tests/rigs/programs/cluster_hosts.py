"""Jobs on a cluster of two hosts, whose cable is pulled; runs in the namespace of the first.

    python cluster_hosts.py ADDRESS MODEL TAKES INTERFACE

Prints JSON: jobs a minute with two hosts and after the cut, what became of each job, and seconds
until the first take after the cut.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from server.jobs.job import Job
from server.remote.cluster import RayReplicas
from server.remote.cluster_engine import ClusterEngine
from server.requests.request import TextToAudio

JOBS = 24
DONE_BEFORE_THE_CUT = 8


def request(seed: int) -> TextToAudio:
    return TextToAudio(prompt="low hum", seed=seed, num_inference_steps=300, audio_length_in_s=1.0)


def jobs_a_minute(ends_s: list[float], begin_s: float) -> float:
    return round(60 * len(ends_s) / (max(ends_s) - begin_s), 1)


async def scenario(address: str, model: Path, takes: Path, interface: str) -> dict[str, Any]:
    replicas = RayReplicas(model, address=address, num_replicas=2, device="cpu", threads=1)
    engine = ClusterEngine(model, takes, replicas)
    ends_s: list[float] = []
    enough = asyncio.Event()

    def follow(job: Job) -> None:
        if job.state.final:
            ends_s.append(time.monotonic())
            if len(ends_s) >= DONE_BEFORE_THE_CUT:
                enough.set()

    await engine.start()
    try:
        engine.listen(follow)
        begin_s = time.monotonic()
        jobs = [await engine.submit(request(seed)) for seed in range(JOBS)]
        await enough.wait()
        subprocess.run(("ip", "link", "set", interface, "down"), check=True)
        cut_s = time.monotonic()
        before = len(ends_s)
        ended = [await engine.ended(job.id) for job in jobs]
        attempts = [job.attempts for job in ended]
        return {
            "before": jobs_a_minute(ends_s[:before], begin_s),
            "after": jobs_a_minute(ends_s[before:], cut_s),
            "first_after_s": round(ends_s[before] - cut_s, 1),
            "last_after_s": round(ends_s[-1] - cut_s, 1),
            "states": Counter(job.state.value for job in ended),
            "errors": [job.error for job in ended if job.error],
            "takes": sum(take.path.stat().st_size > 0 for job in ended for take in job.takes),
            "tried_again": sum(number > 1 for number in attempts),
            "restarts": engine.status().restarts,
        }
    finally:
        await engine.close()


def main() -> None:
    address, model, takes, interface = sys.argv[1:]
    told = asyncio.run(scenario(address, Path(model), Path(takes), interface))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
