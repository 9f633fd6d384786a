"""The built-in model on this machine: seconds to ready, seconds a take, and idle memory."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import psutil

from server.engine.local import LocalEngine
from server.requests.request import TextToAudio

STEPS = (20, 8, 4)


async def measure(runs: int) -> dict[str, Any]:
    """Start the engine as ``audioldm-daw`` does and render takes of 5.12 s."""
    with tempfile.TemporaryDirectory() as folder:
        engine = LocalEngine(Path(str(files("models"))) / "tiny", Path(folder), device="cpu")
        begin = time.perf_counter()
        await engine.start()
        ready_s = time.perf_counter() - begin
        idle_mb = _memory_mb()
        first_s = await _take(engine, seed=0, num_inference_steps=None)
        takes = {
            f"take_{steps}_steps_s": statistics.median(
                [await _take(engine, seed=n, num_inference_steps=steps) for n in range(runs)]
            )
            for steps in STEPS
        }
        await engine.close()
    figures = {"ready_s": ready_s, "first_take_s": first_s, **takes, "idle_mb": idle_mb}
    return {name: round(value, 3) for name, value in figures.items()}


async def _take(engine: LocalEngine, **settings: Any) -> float:
    begin = time.perf_counter()
    request = TextToAudio(prompt="a dog barking", audio_length_in_s=5.12, **settings)
    job = await engine.submit(request)
    while not (job := engine.job(job.id)).state.final:
        await asyncio.sleep(0.005)
    if not job.takes:
        raise SystemExit(f"the take failed: {job.error}")
    return time.perf_counter() - begin


def _memory_mb() -> float:
    """This process and its children, resident."""
    here = psutil.Process()
    return sum(p.memory_info().rss for p in (here, *here.children(recursive=True))) / 1e6


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print and return."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    figures = asyncio.run(measure(parser.parse_args(arguments).runs))
    print("built-in model, takes of 5.12 s")
    for name, value in figures.items():
        print(f"  {name:20}{value:10.2f}")
    return figures


if __name__ == "__main__":
    main()
