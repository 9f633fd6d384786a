"""When a job will be done, from how long the last ones took."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from server.engine.engine import Engine
from server.jobs.job import Job, JobState

__all__ = ["Estimator"]

_WEIGHT: Final = 0.3
"""How much the newest measurement counts."""


class Estimator:
    """Listens to an engine and learns what a unit of work costs here.

    A unit is one denoising step of one second of one take. What comes before the first step and
    after the last one (reading a clip, decoding, writing) is learned apart.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._unit_s = 0.0
        self._around_s = 0.0
        self._first_steps: dict[str, float] = {}
        self._stepping_s: dict[str, float] = {}
        self._unfinished: dict[str, Job] = {}
        self.unlisten = engine.listen(self._learn)

    def seconds_until_done(self, job: Job) -> float | None:
        """Estimated; None before the first job has shown how fast this machine is."""
        if job.state.final or not self._unit_s:
            return None
        ahead = 0.0
        if job.state is JobState.QUEUED:
            ahead = sum(
                self._left(other)
                for other in self._unfinished_with(job)
                if (other.request.live or not job.request.live)
                and (other.state is JobState.RUNNING or other.position < job.position)
            )
        return round(ahead + self._left(job), 2)

    def _left(self, job: Job) -> float:
        steps = (job.num_steps or job.request.num_inference_steps or 1) - job.step
        return self._unit_s * _units(job, steps) + self._around_s

    def _unfinished_with(self, job: Job) -> Collection[Job]:
        """Kept up to date by what the engine tells; of an earlier run's jobs it tells nothing."""
        if job.id not in self._unfinished:
            found = (job for job in self._engine.jobs() if not job.state.final)
            self._unfinished = {job.id: job for job in found}
        return self._unfinished.values()

    def _learn(self, job: Job) -> None:
        if job.id in self._unfinished:
            self._unfinished[job.id] = job
        now = time.monotonic()
        if job.state is JobState.RUNNING and job.step:
            first = self._first_steps.setdefault(job.id, now)
            self._stepping_s[job.id] = now - first
            if job.step > 1:
                self._unit_s = _mixed(self._unit_s, (now - first) / _units(job, job.step - 1))
        elif job.state.final:
            self._unfinished.pop(job.id, None)
            self._first_steps.pop(job.id, None)
            stepping_s = self._stepping_s.pop(job.id, 0.0)
            if job.state is JobState.DONE and job.started_s:
                around_s = job.finished_s - job.started_s - stepping_s
                self._around_s = _mixed(self._around_s, max(0.0, around_s))


def _units(job: Job, steps: int) -> float:
    request = job.request
    seconds = getattr(request, "audio_length_in_s", None) or 5.0
    return float(steps * request.num_renders * (seconds + 1.0))


def _mixed(known: float, new: float) -> float:
    return known + _WEIGHT * (new - known) if known else new
