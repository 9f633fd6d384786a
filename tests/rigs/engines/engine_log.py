"""What an engine said, in order: lifecycles are asserted as event sequences."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from server.engine.engine import Engine
from server.engine.local import LocalEngine
from server.jobs.job import Job, JobState
from server.requests.request import TextToAudio

SLOW = TextToAudio(
    prompt="low hum",
    seed=7,
    num_inference_steps=1000,
    audio_length_in_s=1.0,
    num_waveforms_per_prompt=16,
    priority="live",
)
"""Takes a second or more: time to interrupt it, and to see it end. Nothing goes before it."""
ENDLESS = msgspec.structs.replace(SLOW, audio_length_in_s=5.0, num_waveforms_per_prompt=64)
"""Never ends within a test: for what has to be running until it is cancelled."""


class EngineLog:
    """Listens to an engine; ``until`` waits for something it says."""

    def __init__(self, engine: Engine) -> None:
        self.events: list[Job] = []
        self._changed = asyncio.Condition()
        self.unlisten = engine.listen(self._take_note)
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()

    def _take_note(self, job: Job) -> None:
        self.events.append(job)
        task = asyncio.get_running_loop().create_task(self._announce())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _announce(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def states(self, job_id: str) -> list[str]:
        """The states of a job in order, repetitions left out."""
        states: list[str] = []
        for job in self.events:
            if job.id == job_id and states[-1:] != [job.state.value]:
                states.append(job.state.value)
        return states

    def steps(self, job_id: str) -> list[int]:
        """The steps that were reported while the job ran."""
        running = (j for j in self.events if j.id == job_id and j.state is JobState.RUNNING)
        return [job.step for job in running]

    async def until(self, true: Callable[[], bool]) -> None:
        """Return when ``true()``; looked at after every event."""
        async with asyncio.timeout(120), self._changed:
            await self._changed.wait_for(true)

    async def step(self, job_id: str, step: int = 1) -> Job:
        """The job when it has come as far as ``step``."""
        await self.until(lambda: self._engine.job(job_id).step >= step)
        return self._engine.job(job_id)

    async def final(self, job_id: str) -> Job:
        """The job when nothing more will happen."""
        await self.until(lambda: self._engine.job(job_id).state.final)
        return self._engine.job(job_id)


@asynccontextmanager
async def running_engine(
    model: Path, takes: Path, **options: Any
) -> AsyncIterator[tuple[LocalEngine, EngineLog]]:
    """A started engine on one CPU thread, and its log."""
    engine = LocalEngine(model, takes, device="cpu", threads=1, **options)
    log = EngineLog(engine)
    try:
        await engine.start()
        yield engine, log
    finally:
        await engine.close()
