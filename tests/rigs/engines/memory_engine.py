"""An engine without a model: jobs move when the test says so, takes are real small files."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np

from server.audio.waveform import Waveform
from server.engine.engine import EngineStatus, Listener, Unlisten
from server.errors import Conflict, QueueFull
from server.jobs.book import JobBook
from server.jobs.job import Job, JobState, Preview, TakeInfo
from server.model.manifest import Manifest
from server.requests.request import AnyRequest, resolve, validate

SAMPLE_RATE = 48000


class MemoryEngine:
    """Implements `Engine`; ``automatic`` finishes each job as it comes."""

    def __init__(self, manifest: Manifest, folder: Path, *, automatic: bool = True) -> None:
        self._manifest = manifest
        self._folder = folder
        self._jobs = JobBook()
        self._numbers = itertools.count(1)
        self.automatic = automatic
        self.max_queued = 1000
        self.restarts = 0
        self.state = "ready"

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    async def start(self) -> None:
        self.state = "ready"

    async def close(self) -> None:
        self.state = "down"

    async def submit(
        self,
        request: AnyRequest,
        *,
        owner: str = "",
        request_id: str = "",
        folder: Path | None = None,
    ) -> Job:
        known = self._jobs.of_request(owner, request_id)
        if known is not None:
            if known.request.prompt != request.prompt:
                raise Conflict(f"request id {request_id!r} was used before for another request")
            return known
        waiting = [job for job in self._jobs if not job.state.final]
        if len(waiting) >= self.max_queued:
            raise QueueFull(f"{len(waiting)} jobs are waiting already; try again later")
        job = Job(
            id=f"job{next(self._numbers)}",
            request=resolve(validate(request), self._manifest),
            owner=owner,
            request_id=request_id,
            folder=folder or self._folder,
            position=len(waiting),
            created_s=time.time(),
        )
        self._jobs.add(job)
        if self.automatic:
            self.step(job.id, 1, 2)
            self.step(job.id, 2, 2)
            self.finish(job.id)
        return job

    def step(self, job_id: str, step: int, num_steps: int) -> None:
        self._jobs.change(job_id, state=JobState.RUNNING, step=step, num_steps=num_steps)

    def preview(self, job_id: str, step: int, path: Path) -> None:
        self._jobs.change(job_id, preview=Preview(step, path))

    def finish(self, job_id: str) -> None:
        job = self._jobs[job_id]
        takes = tuple(self._take(job, k) for k in range(job.request.num_waveforms_per_prompt))
        self._jobs.change(job_id, state=JobState.DONE, takes=takes, finished_s=time.time())

    def fail(self, job_id: str, code: str, sentence: str) -> None:
        self._jobs.change(job_id, state=JobState.FAILED, error_code=code, error=sentence)

    async def cancel(self, job_id: str) -> Job:
        return self._jobs.change(job_id, state=JobState.CANCELLED)

    def job(self, job_id: str) -> Job:
        return self._jobs[job_id]

    def jobs(self) -> list[Job]:
        return list(self._jobs)

    def listen(self, listener: Listener) -> Unlisten:
        return self._jobs.listen(listener)

    def status(self) -> EngineStatus:
        states = [job.state for job in self._jobs]
        return EngineStatus(
            state=self.state,
            model=self._manifest.name,
            queued=states.count(JobState.QUEUED),
            running=states.count(JobState.RUNNING),
            restarts=self.restarts,
        )

    def _take(self, job: Job, index: int) -> TakeInfo:
        seed = (job.request.seed or 0) + index
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
        )
