"""From a request to the first sample of the library's sound, through a JACK server.

    python -m benchmarks.retrieval [--hits 100] [--period 1024] [--sounds FOLDER]

``known`` asks for words and plays a sound that were used before. ``cold`` drops the sound's file
from the system's cache, and the program has not read it. A JACK client of its own notes the frame
in which the first sample arrives, and the frame in which the request began.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.audio_latency import on_stage, rendering
from benchmarks.jack import RATE, jack_dummy
from benchmarks.machine import describe_machine
from benchmarks.verdicts import Verdict, show
from osc_bridge.audio.card import CardOutput
from osc_bridge.stage.instant import nearest_sound
from osc_bridge.stage.stage import Stage
from server.config import built_in_model
from server.sample_library.library import SampleLibrary
from server.worker.towers import ClapTowers

COLD_MS = 30.0
WORDS = ("heavy rain", "a low hum", "a bell", "white noise")


class Listener:
    """A JACK client that waits for the first sample that is not zero."""

    def __init__(self) -> None:
        import jack

        self._client = jack.Client("listener", no_start_server=True)
        ports = self._client.get_ports("PortAudio", is_audio=True, is_output=True)
        self._input = self._client.inports.register("in")
        self.first: int | None = None
        self._client.set_process_callback(self._process)
        self._client.activate()
        self._client.connect(ports[0], self._input)

    @property
    def now(self) -> int:
        """The frame of this moment."""
        return int(self._client.frame_time)

    def _process(self, frames: int) -> None:
        if self.first is None:
            heard = np.flatnonzero(self._input.get_array())
            if heard.size:
                self.first = int(self._client.last_frame_time + heard[0])

    def close(self) -> None:
        """Leave the server."""
        self._client.deactivate()
        self._client.close()


def bursts(folder: Path, count: int = 40) -> Path:
    """Two seconds of noise or tone each, which begin at once."""
    chance = np.random.default_rng(0)
    for number in range(count):
        tone = 0.2 + 0.1 * np.sin(np.arange(2 * RATE) * (0.01 + 0.002 * number))
        noise = 0.2 + 0.1 * chance.standard_normal(2 * RATE)
        samples = tone if number % 2 else noise
        soundfile.write(folder / f"{number}.wav", samples, RATE, subtype="PCM_24")
    return folder


@asynccontextmanager
async def library_of(sounds: Path) -> AsyncIterator[SampleLibrary]:
    """A library in which ``sounds`` are indexed."""
    towers = ClapTowers(built_in_model())
    with tempfile.TemporaryDirectory() as state:
        library = SampleLibrary(Path(state), built_in_model(), lambda: towers)
        try:
            await library.add(sounds)
            while (await library.state()).folders[0].state != "indexed":
                await asyncio.sleep(0.2)
            yield library
        finally:
            await library.close()
            towers.close()


async def measure(hits: int, period: int, sounds: Path | None) -> dict[str, Any]:
    """Milliseconds from the request to the first sample."""
    with tempfile.TemporaryDirectory() as name, jack_dummy(period):
        async with AsyncExitStack() as stack:
            folder = sounds or await asyncio.to_thread(bursts, Path(name))
            library = await stack.enter_async_context(library_of(folder))
            engine = await stack.enter_async_context(rendering(1))
            stage = await stack.enter_async_context(on_stage(engine, "", CardOutput()))
            listener = Listener()
            stack.callback(listener.close)
            for words in WORDS:
                await one(stage, listener, await nearest_sound(library, words))
            known = [await known_ms(stage, listener, library, n) for n in range(hits)]
            cold = [await cold_ms(stage, listener, path) for path in paths(folder, hits)]
    return {"period_ms": 1e3 * period / RATE, "known_ms": spread(known), "cold_ms": spread(cold)}


async def known_ms(stage: Stage, listener: Listener, library: SampleLibrary, number: int) -> float:
    """With the search for words that were looked for before."""
    began = listener.now
    path = await nearest_sound(library, WORDS[number % len(WORDS)])
    return await one(stage, listener, path, began)


async def cold_ms(stage: Stage, listener: Listener, path: Path) -> float:
    """A file that is not in the system's cache."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return await one(stage, listener, path)


async def one(stage: Stage, listener: Listener, path: Path, began: int | None = None) -> float:
    """Play ``path``; milliseconds until its first sample."""
    began = listener.now if began is None else began
    listener.first = None
    voice, _ = await stage.play(path)
    until_s = time.monotonic() + 2.0
    while listener.first is None and time.monotonic() < until_s:
        await asyncio.sleep(0.002)
    first = listener.first
    stage.player.stop(voice, fade_s=0.0)
    await asyncio.sleep(0.15)
    return float("inf") if first is None else 1e3 * (first - began) / RATE


def paths(folder: Path, hits: int) -> list[Path]:
    """Files of the folder, each once."""
    return sorted(folder.rglob("*.wav"))[-hits:]


def spread(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum."""
    return {
        "median": round(float(np.median(values)), 2),
        "p95": round(float(np.quantile(values, 0.95)), 2),
        "max": round(max(values), 2),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hits", type=int, default=100)
    parser.add_argument("--period", type=int, default=1024, help="frames of JACK's period")
    parser.add_argument("--sounds", type=Path, help="a folder of WAV files to play")
    options = parser.parse_args()
    found = asyncio.run(measure(options.hits, options.period, options.sounds))
    load = {"load average": ", ".join(f"{n:.1f}" for n in os.getloadavg())}
    print(json.dumps({**found, "machine": describe_machine() | load}, indent=2))
    block_ms = found["period_ms"]
    verdicts = [
        Verdict(
            "a known sound begins within one block, median",
            found["known_ms"]["median"] <= block_ms,
            f"{found['known_ms']['median']} ms of {block_ms:.1f} ms",
        ),
        Verdict(
            f"a cold file begins within {COLD_MS:g} ms, median",
            found["cold_ms"]["median"] <= COLD_MS,
            f"{found['cold_ms']['median']} ms",
        ),
    ]
    show(verdicts)
    return int(not all(verdict.held for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
