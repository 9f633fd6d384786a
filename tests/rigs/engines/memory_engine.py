"""An engine without a model: jobs move when the test says so, takes are real small files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from one_model import OneModelEngine

from server.audio.waveform import Waveform
from server.engine.effort import effort_of
from server.engine.engine import EngineStatus
from server.jobs.acceptance import Limits
from server.jobs.book import JobBook
from server.jobs.job import Job, JobState, Preview, TakeInfo
from server.jobs.submission import Submission
from server.model.manifest import Manifest

SAMPLE_RATE = 48000


class MemoryEngine(OneModelEngine):
    """``automatic`` finishes each job as it comes."""

    def __init__(self, manifest: Manifest, folder: Path, *, automatic: bool = True) -> None:
        book = JobBook(
            folder,
            max_queued=1000,
            limits=Limits(max_live_s=10.0),
            measure=lambda job: effort_of(job.request, manifest),
        )
        super().__init__(book)
        self._manifest = manifest
        self.automatic = automatic
        self.restarts = 0
        self.state = "ready"
        self.warnings: tuple[str, ...] = ()
        """What its takes warn of."""

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    def refuse_beyond(self, max_queued: int) -> None:
        self._book.max_queued = max_queued

    async def start(self) -> None:
        self.state = "ready"

    async def close(self) -> None:
        self.state = "down"
        await self.supervisor.close()

    async def step(self, job_id: str, step: int, num_steps: int) -> None:
        await self._book.begin(job_id)
        self._book.step(job_id, step, num_steps)

    def preview(self, job_id: str, step: int, path: Path) -> None:
        job = self._book[job_id]
        self._book.put(msgspec.structs.replace(job, preview=Preview(step, path)))

    async def finish(self, job_id: str) -> None:
        job = self._book[job_id]
        takes = tuple(self._take(job, k) for k in range(job.request.num_waveforms_per_prompt))
        await self._book.end(job_id, JobState.DONE, takes=takes)

    async def fail(self, job_id: str, code: str, sentence: str) -> None:
        await self._book.end(job_id, JobState.FAILED, error_code=code, error=sentence)

    async def cancel(self, job_id: str) -> Job:
        await self._book.end(job_id, JobState.CANCELLED)
        return self._book[job_id]

    def status(self) -> EngineStatus:
        states = [job.state for job in self._book]
        return EngineStatus(
            state=self.state,
            model=self._manifest.name,
            queued=states.count(JobState.QUEUED),
            running=states.count(JobState.RUNNING),
            restarts=self.restarts,
        )

    async def _accept(self, submission: Submission) -> Job:
        job = await self._book.accept(submission, self._manifest)
        if self.automatic:
            await self.step(job.id, 1, 2)
            await self.step(job.id, 2, 2)
            await self.finish(job.id)
        return job

    def _take(self, job: Job, index: int) -> TakeInfo:
        seed = job.request.seed + index
        path = job.folder / f"{job.id}-{index + 1}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed % 2**32).uniform(-0.5, 0.5, SAMPLE_RATE // 10)
        wave = Waveform.mono(noise.astype(np.float32), SAMPLE_RATE)
        path.write_bytes(wave.encode("wav16"))
        return TakeInfo(
            path=path,
            seed=seed,
            sample_rate=SAMPLE_RATE,
            channels=1,
            frames=wave.frames,
            measures={"silent": False},
            warnings=self.warnings,
        )
