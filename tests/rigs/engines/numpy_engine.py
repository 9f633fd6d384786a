"""An engine that renders for real, in numpy: each prompt has a pitch, each seed a phase.

A step takes as long as the test says. Continuations go on with the phase of the clip, so that a
seam would be heard.
"""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path

import numpy as np
from one_model import OneModelEngine

from server.audio.waveform import Waveform
from server.engine.engine import EngineStatus
from server.errors import NotFound, RenderError
from server.jobs.book import JobBook
from server.jobs.job import Job, JobState, TakeInfo
from server.jobs.journal import Journal
from server.jobs.submission import Submission
from server.model.manifest import Manifest
from server.requests.prompt import parse_blend
from server.requests.request import Continue, NewSound

LEVEL = 0.3


def pitch(prompt: str) -> float:
    """Hz, a whole number of tens; a blend has the pitch of its strongest part."""
    text = max(parse_blend(prompt), key=lambda part: part.weight).text.strip()
    return 200.0 + 10.0 * (zlib.crc32(text.encode()) % 100)


class NumpyEngine(OneModelEngine):
    """One job after the other; ``step_s`` is how long a step of one take takes."""

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        step_s: float = 0.0,
        journal: Journal | None = None,
    ) -> None:
        super().__init__(JobBook(folder, journal=journal))
        self._manifest = manifest
        self._device = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.step_s = step_s
        self.can_continue = True
        self.down = asyncio.Event()
        self.down.set()
        """Cleared: the engine hangs, as if its process had died."""

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        for task in tuple(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def cancel(self, job_id: str) -> Job:
        if not self._book[job_id].state.final:
            self._tasks[job_id].cancel()
            await self._book.end(job_id, JobState.CANCELLED)
        return self._book[job_id]

    def status(self) -> EngineStatus:
        return EngineStatus(state="ready")

    async def _accept(self, submission: Submission) -> Job:
        job = await self._book.accept(submission, self._manifest)
        self._tasks[job.id] = asyncio.create_task(self._run(job))
        return job

    async def _run(self, job: Job) -> None:
        async with self._device:
            steps = job.request.num_inference_steps or 1
            await self._book.begin(job.id)
            self._book.step(job.id, 0, steps)
            for step in range(1, steps + 1):
                await self.down.wait()
                await asyncio.sleep(self.step_s * job.request.num_waveforms_per_prompt)
                self._book.step(job.id, step, steps)
            if isinstance(job.request, Continue) and not self.can_continue:
                await self._book.fail(job.id, RenderError("this model cannot continue"))
                return
            takes = [self._take(job, k) for k in range(job.request.num_waveforms_per_prompt)]
            await self._book.end(job.id, JobState.DONE, takes=tuple(takes))

    def _take(self, job: Job, index: int) -> TakeInfo:
        waveform = self._sound(job, job.request.seed + index)
        path = job.folder / f"{job.id}-{index + 1}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(waveform.encode("wav32f"))
        return TakeInfo(path=path, seed=index, sample_rate=waveform.sample_rate,
                        channels=waveform.channels, frames=waveform.frames)  # fmt: skip

    def _sound(self, job: Job, seed: int) -> Waveform:
        request = job.request
        rate = request.delivery.sample_rate or 48000
        hz = pitch(request.prompt)
        if isinstance(request, Continue):
            clip = Waveform.read(Path(request.clip))
            added = round((request.audio_length_in_s or 1.0) * rate)
            phase = _phase_at_end(clip.downmix(), hz, rate)
            new = LEVEL * np.sin(phase + 2 * np.pi * hz * np.arange(added) / rate)
            whole = np.concatenate([clip.downmix(), new.astype(np.float32)])
            return Waveform.mono(whole, rate)
        if not isinstance(request, NewSound):
            raise NotFound(type(request).__name__)
        frames = round(request.length_s(2.0) * rate)
        phase = np.random.default_rng(seed % 2**32).uniform(0, 2 * np.pi)
        tone = LEVEL * np.sin(phase + 2 * np.pi * hz * np.arange(frames) / rate)
        return Waveform.mono(tone, rate)


def _phase_at_end(samples: np.ndarray, hz: float, rate: int) -> float:
    """The phase with which a sine of ``hz`` would go on after ``samples``."""
    n = min(samples.size, rate // 2)
    carrier = np.exp(-2j * np.pi * hz * np.arange(-n, 0) / rate)
    return float(np.angle(1j * (samples[-n:] * carrier).sum()))
