"""The whole instrument under rough handling for a long time.

    python -m benchmarks.endurance.soak --minutes 60

A stream plays, pads are hit, prompts and tempo change, jobs are submitted and cancelled, clients
come and go, the audio process and the engine's worker are killed, all over OSC and at random.
At the end there is a verdict a claim. It fails (exit 1) where one does not hold: a job ends without
a done or fail message, the output is silent while a device is open, memory grows, a block raises.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.verdicts import Verdict, show
from osc_bridge.audio.card import CardOutput
from osc_bridge.audio.device import NO_DEVICE, DeviceReport, DeviceSettings
from osc_bridge.client.client import Client
from osc_bridge.daw import Instance, instance
from osc_bridge.stage.stage import Notice
from server.config import Config

SET: Final = """
name: Soak
tempo_bpm: 130
pads:
  - {name: hit, prompt: small drum, mode: one_shot, seconds: 0.5, quantise: sixteenth, takes: 2}
  - {name: bed, prompt: warm pad, bars: 1, quantise: beat, choke: 1, gain_db: -6}
  - {name: air, prompt: wind, bars: 1, quantise: bar, choke: 1, gain_db: -6}
"""
PROMPTS: Final = ("rain", "wind in trees", "bells", "a river", "thunder", "birds at dawn")
GAP_FRAMES: Final = 480
"""Digital silence of this many frames is a gap."""
FINISH_S: Final = 180.0
MAX_GROWTH: Final = (1.2, 60.0)
"""Memory may be this many times what it was after a quarter of the run, and so many MB more."""
MAX_SLOPE_MB_H: Final = 30.0
"""Of the program's memory in runs long enough to tell (``_SLOPE_MINUTES``)."""
_SLOPE_MINUTES: Final = 10.0
_MEMORY_EVERY_S: Final = 5.0


class Memory(msgspec.Struct, frozen=True):
    """Private memory of our processes in MB."""

    program: float
    audio: float
    worker: float


class Report(msgspec.Struct, kw_only=True):
    """What happened."""

    minutes: float = 0.0
    actions: dict[str, int] = {}
    jobs: int = 0
    done: int = 0
    failed_with_message: int = 0
    lost: list[str] = []
    gaps_s: list[float] = []
    """Silences in the output while a device was open."""
    outages_s: list[float] = []
    """From losing the device to playing again."""
    engine_restarts: int = 0
    under_runs: int = 0
    glitches: int = 0
    late: int = 0
    recombined: int = 0
    memory_early: Memory | None = None
    memory_late: Memory | None = None
    slope_mb_h: float = 0.0
    """Of the program's memory after the first quarter, by least squares."""
    verdicts: list[Verdict] = []
    problems: list[str] = []


class Player:
    """A client that does random things and keeps account of its jobs."""

    def __init__(self, port: int, draw: random.Random, report: Report) -> None:
        self._port = port
        self._draw = draw
        self._report = report
        self._open: dict[str, float] = {}
        self._numbers = 0
        self.actions: Counter[str] = Counter()

    def run(self, until_s: float, stop: threading.Event) -> None:
        """Play until the time is over, then wait for the jobs that are open."""
        with Client(port=self._port, transport="tcp") as client:
            client.query("/ldm/notify", 0)
            while time.monotonic() < until_s and not stop.is_set():
                self._act(client)
                self._listen(client, self._draw.uniform(0.02, 0.3))
            deadline = time.monotonic() + FINISH_S
            while self._open and time.monotonic() < deadline and not stop.is_set():
                self._listen(client, 0.2)
        self._report.lost = sorted(self._open)

    def _act(self, client: Client) -> None:
        acts: list[tuple[int, str, Callable[[Client], None]]] = [
            (30, "hit a pad", self._hit),
            (8, "submit a job", self._submit),
            (4, "cancel a job", self._cancel),
            (6, "move the stream", self._move),
            (2, "turn the stream", self._turn),
            (2, "refresh a pad", self._refresh),
            (3, "change the tempo", self._tempo),
            (20, "set a value", self._set),
            (2, "capture", self._capture),
            (3, "nonsense", self._nonsense),
        ]
        _, name, act = self._draw.choices(acts, [weight for weight, *_ in acts])[0]
        self.actions[name] += 1
        act(client)

    def _hit(self, client: Client) -> None:
        client.send("/ldm/pad/hit", self._draw.choice(("hit", "bed", "air")), self._draw.random())

    def _submit(self, client: Client) -> None:
        if len(self._open) > 6:
            return
        self._numbers += 1
        request_id = f"soak-{self._numbers}"
        seconds = self._draw.uniform(0.5, 3.0)
        self._open[request_id] = time.monotonic()
        prompt = self._draw.choice(PROMPTS)
        client.send(
            "/ldm/text", request_id, prompt, "num_inference_steps", self._draw.randint(1, 6),
            "audio_length_in_s", seconds,
        )  # fmt: skip

    def _cancel(self, client: Client) -> None:
        if self._open:
            client.send("/ldm/job/cancel", self._draw.choice(list(self._open)))

    def _move(self, client: Client) -> None:
        client.send("/ldm/stream/xy", self._draw.random(), self._draw.random())

    def _turn(self, client: Client) -> None:
        client.send("/ldm/stream/prompt", self._draw.choice(PROMPTS), self._draw.uniform(0.0, 4.0))

    def _refresh(self, client: Client) -> None:
        client.send("/ldm/pad/refresh", self._draw.choice(("hit", "bed")))

    def _tempo(self, client: Client) -> None:
        client.send("/ldm/transport/tempo", self._draw.uniform(90.0, 150.0))

    def _set(self, client: Client) -> None:
        client.send("/ldm/set/guidance_scale", self._draw.uniform(1.0, 6.0))

    def _capture(self, client: Client) -> None:
        client.send("/ldm/capture/save", 1.0, "played", "soak.wav")

    def _nonsense(self, client: Client) -> None:
        client.send(self._draw.choice(("/ldm/pad/hit", "/ldm/nothing", "/ldm/text")), "x", -1.0)

    def _listen(self, client: Client, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            message = client.receive(left)
            if message is None:
                return
            if message.address == "/ldm/capture/saved":
                Path(message.arguments[0]).unlink(missing_ok=True)
            final = message.address in ("/ldm/job/done", "/ldm/job/fail")
            if final and self._open.pop(str(message.arguments[0]), 0.0):
                self._report.jobs += 1
                done = message.address == "/ldm/job/done"
                self._report.done += done
                self._report.failed_with_message += not done


class Ear:
    """Listens to the output all the time and notes silences."""

    def __init__(self, running: Instance, report: Report) -> None:
        self._player = running.stage.player
        self._report = report
        self._heard_to = 0
        self._silent = 0
        self._lost_s = 0.0
        self._playing_from = self._player.frame_now()
        told = running.stage.notify

        def notify(notice: Notice) -> None:
            told(notice)
            if isinstance(notice, DeviceReport):
                self._device(notice)

        running.stage.notify = notify

    def _device(self, report: DeviceReport) -> None:
        if report.state in ("lost", "closed"):
            self._lost_s = time.monotonic()
            self._heard_to = 0
        elif report.state == "open" and self._lost_s:
            self._report.outages_s.append(round(time.monotonic() - self._lost_s, 3))
            # Loops are joined at once, after one fade.
            self._playing_from = self._player.frame_now() + self._player.sample_rate // 10
            self._lost_s = 0.0

    def listen(self) -> None:
        """Look at what was played since the last time."""
        now = self._player.frame_now()
        if self._lost_s or now < self._playing_from:
            return
        begin = max(self._heard_to, self._playing_from, now - 10 * self._player.sample_rate)
        if now - begin < GAP_FRAMES:
            return
        heard = self._player.capture((now - begin) / self._player.sample_rate, end_frame=now)
        for quiet in _runs(np.abs(heard.samples).max(axis=1) == 0.0):
            if quiet >= GAP_FRAMES:
                self._report.gaps_s.append(round(quiet / self._player.sample_rate, 3))
        self._heard_to = now


def _runs(flags: np.ndarray[Any, np.dtype[np.bool_]]) -> list[int]:
    """Lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [int(b - a) for a, b in zip(edges[::2], edges[1::2], strict=True)]


async def soak(minutes: float, seed: int, model: str, kill_every_s: float) -> Report:
    """Run, and report; nothing is raised for what goes wrong in there."""
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
            await _rough(running, minutes, random.Random(seed), kill_every_s, report)
    return report


async def _rough(
    running: Instance, minutes: float, draw: random.Random, kill_every_s: float, report: Report
) -> None:
    ear = Ear(running, report)
    stop = threading.Event()
    until_s = time.monotonic() + minutes * 60
    player = Player(running.bridge.port, random.Random(draw.random()), report)
    playing = asyncio.create_task(asyncio.to_thread(player.run, until_s, stop))
    killing = asyncio.create_task(_kill(running, draw, until_s, kill_every_s, player.actions))
    memory: list[tuple[float, Memory]] = []
    quarter_s = until_s - 0.75 * minutes * 60
    try:
        while not playing.done():
            await asyncio.sleep(1.0)
            ear.listen()
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
    _weigh(memory, report)
    _take_stock(running, player, report)


def _weigh(memory: list[tuple[float, Memory]], report: Report) -> None:
    report.memory_early, report.memory_late = memory[0][1], memory[-1][1]
    if len(memory) > 2:
        times = np.array([at for at, _ in memory]) / 3600.0
        program = np.array([each.program for _, each in memory])
        report.slope_mb_h = round(float(np.polyfit(times - times[0], program, 1)[0]), 1)


def _take_stock(running: Instance, player: Player, report: Report) -> None:
    status = running.stage.player.status()
    report.actions = dict(player.actions)
    report.engine_restarts = running.engine.status().restarts
    report.under_runs, report.glitches = status.under_runs, status.glitches
    report.late = status.late
    report.recombined = running.stage.stream.status().recombined
    report.verdicts = _verdicts(report)
    report.problems += [f"{v.claim}: {v.measured}" for v in report.verdicts if not v.held]


def _verdicts(report: Report) -> list[Verdict]:
    early, late = report.memory_early, report.memory_late
    assert early is not None
    assert late is not None
    grown: list[str] = []
    for name in Memory.__struct_fields__:
        before, after = getattr(early, name), getattr(late, name)
        if before and after > before * MAX_GROWTH[0] + MAX_GROWTH[1]:  # 0: just starting again
            grown.append(name)
    steep = report.minutes >= _SLOPE_MINUTES and report.slope_mb_h > MAX_SLOPE_MB_H
    return [
        Verdict(
            f"no gap in the audio beyond the crossfade ({GAP_FRAMES} silent frames)",
            not report.gaps_s,
            f"{len(report.gaps_s)} gaps, longest {max(report.gaps_s, default=0.0)} s; "
            f"{len(report.outages_s)} times without a device, longest "
            f"{max(report.outages_s, default=0.0)} s",
        ),
        Verdict(
            "memory flat",
            not grown and not steep,
            f"program {early.program:.0f} to {late.program:.0f} MB, "
            f"slope {report.slope_mb_h:+.1f} MB an hour; audio {early.audio:.0f} to "
            f"{late.audio:.0f} MB, worker {early.worker:.0f} to {late.worker:.0f} MB",
        ),
        Verdict(
            "no job lost without a fail message",
            not report.lost,
            f"{len(report.lost)} of {report.jobs + len(report.lost)} lost; {report.done} done, "
            f"{report.failed_with_message} failed or cancelled with a message",
        ),
        Verdict("no block raised an error", not report.glitches, f"{report.glitches} blocks"),
    ]


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
    """Print what happened; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="", help="model folder; default: the built-in one")
    parser.add_argument("--kill-every", type=float, default=20.0, metavar="SECONDS")
    options = parser.parse_args()
    report = asyncio.run(soak(options.minutes, options.seed, options.model, options.kill_every))
    said = msgspec.to_builtins(report) | {"machine": describe_machine()}
    print(json.dumps(said, indent=2))
    show(report.verdicts)
    return int(bool(report.problems))


if __name__ == "__main__":
    sys.exit(main())
