"""Audio latency: under-runs under load, trigger to first sample, the stream's real-time factor.

    python -m benchmarks.audio_latency under-runs --minutes 10
    python -m benchmarks.audio_latency trigger
    python -m benchmarks.audio_latency stream --minutes 3

``under-runs`` starts a JACK server with the dummy driver (128 frames at 48 kHz) and plays eight
loops while the model renders without a pause on the same cores. JACK's own ``jack_simple_client``
runs beside it: forty lines of C that play a sine. What it misses, no program could have played on
that machine at that time. ``--in-process`` plays in this process instead of the audio process, for
comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.jack import RATE, InProcess, bare_client, jack_dummy
from benchmarks.machine import describe_machine
from benchmarks.verdicts import Verdict, show
from osc_bridge.audio.card import CardOutput
from osc_bridge.audio.clips import Loop
from osc_bridge.audio.device import NO_DEVICE, DeviceSettings
from osc_bridge.audio.output import Output
from osc_bridge.stage.stage import Stage
from osc_bridge.stage.stream.report import StreamReport
from server.audio.waveform import Waveform
from server.config import built_in_model
from server.engine.local import LocalEngine
from server.errors import AudioLDMError
from server.requests.request import TextToAudio

PROMPTS = ("rain on leaves", "wind in the trees", "small bells", "distant thunder")


@contextlib.asynccontextmanager
async def rendering(threads: int) -> AsyncIterator[LocalEngine]:
    """An engine with the built-in model, started."""
    with tempfile.TemporaryDirectory() as folder:
        engine = LocalEngine(built_in_model(), Path(folder), device="cpu", threads=threads)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()


@contextlib.asynccontextmanager
async def busy(engine: LocalEngine) -> AsyncIterator[list[int]]:
    """Render without a pause; yields a list with the number of finished jobs."""
    finished = [0]

    async def render() -> None:
        done = asyncio.Event()
        unlisten = engine.listen(lambda job: done.set() if job.state.final else None)
        try:
            for prompt in itertools.cycle(PROMPTS):
                done.clear()
                job = await engine.submit(TextToAudio(prompt=prompt))
                while not engine.job(job.id).state.final:
                    await done.wait()
                    done.clear()
                for take in engine.job(job.id).takes:
                    take.path.unlink()
                finished[0] += 1
        finally:
            unlisten()

    task = asyncio.create_task(render())
    try:
        yield finished
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def on_stage(engine: LocalEngine, device: str, output: Output) -> AsyncIterator[Stage]:
    stage = Stage(engine, lambda notice: None, output)
    try:
        await stage.open_device(DeviceSettings(device=device))
        yield stage
    finally:
        await stage.close()


async def measure_under_runs(
    minutes: float, period: int, threads: int, *, in_process: bool, idle: bool
) -> dict[str, Any]:
    """Play eight loops while the model renders, and count under-runs."""
    output: Output = InProcess() if in_process else CardOutput()
    with jack_dummy(period) as log:
        async with rendering(threads) as engine, on_stage(engine, "", output) as stage:
            with bare_client():
                noise = np.random.default_rng(0).uniform(-0.05, 0.05, (RATE * 2, 2))
                clip = await stage.player.load(Waveform(noise.astype(np.float32), RATE), Loop())
                for _ in range(8):
                    stage.player.start(clip)
                await asyncio.sleep(1.0)
                before, at, stolen = stage.player.status(), len(log.read_text()), _stolen_s()
                async with contextlib.AsyncExitStack() as stack:
                    jobs = [0] if idle else await stack.enter_async_context(busy(engine))
                    await asyncio.sleep(minutes * 60)
                status, printed = stage.player.status(), log.read_text()[at:]
    lost = status.under_runs - before.under_runs
    missed = {
        name: len(re.findall(rf"XRun: client = {client} was not finished", printed))
        for name, client in (("ours", "PortAudio"), ("bare C client", "witness"))
    }
    return {
        "minutes": minutes,
        "where": "this process" if in_process else "audio process",
        "blocks": round(minutes * 60 * RATE / period),
        "blocksize": status.blocksize,
        "under-runs (PortAudio)": lost,
        "xruns by client (JACK)": missed,
        "server late by itself (JACK)": len(re.findall("JackTimedDriver::Process XRun", printed)),
        "longest block / its time": round(status.load, 3),
        "stolen from this machine by its host, s": round(_stolen_s() - stolen, 2),
        "glitches": status.glitches,
        "jobs rendered meanwhile": jobs[0],
        "verdicts": [
            Verdict(
                f"no under-run in {minutes:g} min at {period} frames",
                lost == 0,
                f"{lost} blocks, {missed['ours']} xruns of ours by JACK's count; a bare C client "
                f"beside it had {missed['bare C client']}",
            )
        ],
    }


def _stolen_s() -> float:
    """CPU time that the host took from this virtual machine, all cores together."""
    with contextlib.suppress(OSError):
        fields = Path("/proc/stat").read_text().partition("\n")[0].split()
        return int(fields[8]) / os.sysconf("SC_CLK_TCK")
    return 0.0


async def measure_trigger(hits: int, threads: int, *, idle: bool) -> dict[str, Any]:
    """Measure the time from the call behind a message or note to its first sample."""
    now_ms: list[float] = []
    grid_frames: list[int] = []
    async with rendering(threads) as engine:
        with tempfile.TemporaryDirectory():
            async with on_stage(engine, NO_DEVICE, CardOutput()) as stage:
                player = stage.player
                click = np.zeros((480, 2), np.float32)
                click[0] = 0.9
                clip = await player.load(Waveform(click, RATE))
                async with contextlib.AsyncExitStack() as stack:
                    if not idle:
                        await stack.enter_async_context(busy(engine))
                    await asyncio.sleep(1.0)
                    draw = np.random.default_rng(1)
                    for _ in range(hits):
                        await asyncio.sleep(float(draw.uniform(0.05, 0.08)))
                        called = player.frame_at(time.monotonic_ns())
                        now_ms.append((await _first_sample(player, clip, 0) - called) / RATE * 1e3)
                        wanted = player.frame_now() + int(draw.integers(2000, 4000))
                        grid_frames.append(await _first_sample(player, clip, wanted) - wanted)
                    status = player.status()
    on_grid = sum(frames == 0 for frames in grid_frames)
    return {
        "hits": hits,
        "unquantised, ms": _percentiles(now_ms),
        "quantised, frames after the grid": _percentiles([float(f) for f in grid_frames]),
        "quantised exactly": f"{on_grid} of {hits}",
        "late commands": status.late,
    }


async def _first_sample(player: Any, clip: Any, frame: int) -> int:
    """The frame at which ``clip`` begins in the capture ring."""
    begun = asyncio.Event()
    at = player.frame_now()
    player.start(clip, frame, on_start=begun.set)
    await begun.wait()
    while player.frame_now() < max(at, frame) + 2400:
        await asyncio.sleep(0.002)
    end = player.frame_now()
    captured = player.capture((end - at) / RATE, end_frame=end).samples[:, 0]
    return int(at + np.flatnonzero(captured > 0.5)[0])


async def measure_stream(minutes: float, threads: int) -> dict[str, Any]:
    """A stream of the built-in model whose prompt changes every 20 s."""
    reports: list[StreamReport] = []
    changes: list[float] = []
    async with rendering(threads) as engine, on_stage(engine, NO_DEVICE, CardOutput()) as stage:
        changed = asyncio.Event()

        def keep(notice: object) -> None:
            if isinstance(notice, StreamReport):
                reports.append(notice)

        stage.notify = keep
        stage.stream.on_prompt_change = changed.set
        await stage.start_stream(PROMPTS[0])
        until = time.monotonic() + minutes * 60
        for prompt in itertools.cycle(PROMPTS[1:] + PROMPTS[:1]):
            await asyncio.sleep(20.0)
            if time.monotonic() > until:
                break
            changed.clear()
            begun = time.monotonic()
            stage.stream.set_prompt(prompt)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), 30.0)
                changes.append(time.monotonic() - begun)
        captured = stage.player.capture(60.0)
    pieces = np.abs(captured.samples).max(axis=1)[: captured.frames // 480 * 480].reshape(-1, 480)
    factors = [r.real_time_factor for r in reports if r.real_time_factor]
    rungs = [r.rung for r in reports if r.rung]
    return {
        "minutes": minutes,
        "real-time factor of rendering": _percentiles(factors),
        "steps": sorted({r.num_inference_steps for r in reports if r.num_inference_steps}),
        "rungs seen": {rung: rungs.count(rung) for rung in dict.fromkeys(rungs)},
        "prompt change to audible change, s": _percentiles(changes),
        "10 ms without any sound in the last minute": int((pieces.max(axis=1) == 0.0).sum()),
        "method": reports[-1].method,
    }


def _percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(max(values), 3)}


def main() -> int:
    """Print one measurement as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("under-runs", "trigger", "stream"))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--period", type=int, default=128, help="frames of JACK's period")
    parser.add_argument("--hits", type=int, default=200)
    parser.add_argument("--threads", type=int, default=0, help="of the model; 0: what fits")
    parser.add_argument("--in-process", action="store_true", help="no audio process")
    parser.add_argument("--idle", action="store_true", help="without rendering meanwhile")
    options = parser.parse_args()
    try:
        if options.what == "under-runs":
            measured = measure_under_runs(
                options.minutes, options.period, options.threads,
                in_process=options.in_process, idle=options.idle,
            )  # fmt: skip
        elif options.what == "trigger":
            measured = measure_trigger(options.hits, options.threads, idle=options.idle)
        else:
            measured = measure_stream(options.minutes, options.threads)
        result = asyncio.run(measured)
    except AudioLDMError as error:
        print(error, file=sys.stderr)
        return 1
    load = os.getloadavg() if hasattr(os, "getloadavg") else ()
    machine = describe_machine() | {"load average": ", ".join(f"{n:.1f}" for n in load)}
    print(json.dumps({options.what: msgspec.to_builtins(result), "machine": machine}, indent=2))
    verdicts = result.get("verdicts", [])
    show(verdicts)
    return int(not all(verdict.held for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
