"""The whole program under random load and kills for a long time.

    python -m benchmarks.endurance.soak --minutes 60

A stream plays, pads are hit, prompts and tempo change, jobs are submitted and cancelled, and the
audio process and the engine's worker are killed, all over OSC and at random. At the end there is a
verdict for each claim. The exit status is 1 where one does not hold: a job ends without a done or
fail message, the output is silent while a device is open, memory grows, or a block raises.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from benchmarks.endurance.soak_client import PROMPTS, RandomClient
from benchmarks.endurance.soak_gaps import GapMeter
from benchmarks.endurance.soak_report import Memory, Report, verdicts
from benchmarks.machine import describe_machine
from benchmarks.verdicts import show
from osc_bridge.audio.card import CardOutput
from osc_bridge.audio.device import NO_DEVICE, DeviceSettings
from osc_bridge.daw import Instance, instance
from server.config import Config

SET: Final = """
name: Soak
tempo_bpm: 130
pads:
  - {name: hit, prompt: small drum, mode: one_shot, seconds: 0.5, quantise: sixteenth, takes: 2}
  - {name: bed, prompt: warm pad, bars: 1, quantise: beat, choke: 1, gain_db: -6}
  - {name: air, prompt: wind, bars: 1, quantise: bar, choke: 1, gain_db: -6}
"""
_MEMORY_EVERY_S: Final = 5.0


async def soak(minutes: float, seed: int, model: str, kill_every_s: float) -> Report:
    """Run the soak. Failures are reported, not raised."""
    report = Report(minutes=minutes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "soak.yaml").write_text(SET)
        config = Config(
            osc_port=0, http_port=0, takes_folder=str(path / "takes"),
            state_folder=str(path / "state"), device="cpu", sound_card=NO_DEVICE,
            model=(model,) if model else Config().model,
        )  # fmt: skip
        async with instance(config) as running:
            await running.engine.start()
            await running.stage.open_device(DeviceSettings(device=NO_DEVICE, blocksize=256))
            await running.stage.load_set(str(path / "soak.yaml"))
            running.stage.stream.set_corners(PROMPTS[:4])
            await running.stage.start_stream(PROMPTS[0])
            while running.stage.stream.status().state != "playing":
                await asyncio.sleep(0.05)
            await asyncio.sleep(1.0)
            await _load_and_kill(running, minutes, random.Random(seed), kill_every_s, report)
    return report


async def _load_and_kill(
    running: Instance, minutes: float, draw: random.Random, kill_every_s: float, report: Report
) -> None:
    gaps = GapMeter(running, report)
    stop = threading.Event()
    until_s = time.monotonic() + minutes * 60
    client = RandomClient(running.bridge.port, random.Random(draw.random()), report)
    playing = asyncio.create_task(asyncio.to_thread(client.run, until_s, stop))
    killing = asyncio.create_task(_kill(running, draw, until_s, kill_every_s, client.actions))
    memory: list[tuple[float, Memory]] = []
    quarter_s = until_s - 0.75 * minutes * 60
    try:
        while not playing.done():
            await asyncio.sleep(1.0)
            gaps.measure()
            now = time.monotonic()
            if now > max(quarter_s, memory[-1][0] + _MEMORY_EVERY_S if memory else 0.0):
                memory.append((now, _memory(running)))
        memory.append((time.monotonic(), _memory(running)))
    finally:
        stop.set()
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
        (outcome,) = await asyncio.gather(playing, return_exceptions=True)
    if outcome:
        report.problems.append(f"client: {outcome!r}")
    _memory_growth(memory, report)
    _complete(running, client, report)


def _memory_growth(memory: list[tuple[float, Memory]], report: Report) -> None:
    report.memory_early, report.memory_late = memory[0][1], memory[-1][1]
    if len(memory) > 2:
        times = np.array([at for at, _ in memory]) / 3600.0
        program = np.array([each.program for _, each in memory])
        report.slope_mb_h = round(float(np.polyfit(times - times[0], program, 1)[0]), 1)


def _complete(running: Instance, client: RandomClient, report: Report) -> None:
    status = running.stage.player.status()
    report.actions = dict(client.actions)
    report.engine_restarts = running.engine.status().restarts
    report.under_runs, report.glitches = status.under_runs, status.glitches
    report.late = status.late
    report.recombined = running.stage.stream.status().recombined
    report.verdicts = verdicts(report)
    report.problems += [f"{v.claim}: {v.measured}" for v in report.verdicts if not v.held]


async def _kill(
    running: Instance, draw: random.Random, until_s: float, every_s: float, actions: Counter[str]
) -> None:
    """Kill the audio process and the engine's worker now and then; reopen the device too."""
    for what in itertools.cycle(("audio process", "engine worker", "device reopened")):
        await asyncio.sleep(draw.uniform(0.5, 1.5) * every_s)
        if time.monotonic() > until_s - every_s / 2:
            return
        actions[f"killed: {what}"] += 1
        if what == "device reopened":
            await running.stage.open_device(running.stage.player.device.settings)
            continue
        pid = _audio_pid(running) if what == "audio process" else _worker_pid(running)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _audio_pid(running: Instance) -> int | None:
    output = running.stage.player.device.output
    return output.pid if isinstance(output, CardOutput) else None


def _worker_pid(running: Instance) -> int | None:
    return running.engine.status().details.get("worker_pid")


def _memory(running: Instance) -> Memory:
    pids = (os.getpid(), _audio_pid(running), _worker_pid(running))
    return Memory(*(_private_mb(pid) for pid in pids))


def _private_mb(pid: int | None) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) / 1024
    return 0.0


def main() -> int:
    """Print the report; 1 where a claim does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="", help="model folder; default: the built-in one")
    parser.add_argument("--kill-every", type=float, default=20.0, metavar="SECONDS")
    options = parser.parse_args()
    report = asyncio.run(soak(options.minutes, options.seed, options.model, options.kill_every))
    printed = msgspec.to_builtins(report) | {"machine": describe_machine()}
    print(json.dumps(printed, indent=2))
    show(report.verdicts)
    return int(bool(report.problems))


if __name__ == "__main__":
    sys.exit(main())
