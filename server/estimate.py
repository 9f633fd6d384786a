"""When a job will be done, from how long the last ones took."""

from __future__ import annotations

import time
from typing import Any, Final

from server.engine import Engine
from server.jobs import Job, JobState

__all__ = ["Estimator"]

_WEIGHT: Final = 0.3
"""How much the newest job counts."""


class Estimator:
    """Listens to an engine and learns what a unit of work costs.

    Work is denoising steps times takes times seconds of sound, plus a constant: loading a clip,
    decoding and writing.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seconds_a_unit = 0.0
        self.unlisten = engine.listen(self._learn)

    def seconds_until_done(self, job: Job) -> float | None:
        """Estimated; None before the first job has shown how fast this machine is."""
        if job.state.final or not self._seconds_a_unit:
            return None
        ahead = 0.0
        if job.state is JobState.QUEUED:
            ahead = sum(
                self._left(other)
                for other in self._engine.jobs()
                if other.state is JobState.RUNNING
                or (other.state is JobState.QUEUED and other.position < job.position)
            )
        return round(ahead + self._left(job), 2)

    def _left(self, job: Job) -> float:
        left = self._seconds_a_unit * _work(job)
        if job.state is JobState.RUNNING:
            left -= time.time() - job.started_s
        return max(0.0, left)

    def _learn(self, job: Job) -> None:
        if job.state is not JobState.DONE:
            return
        cost = (job.finished_s - job.started_s) / _work(job)
        known = self._seconds_a_unit
        self._seconds_a_unit = known + _WEIGHT * (cost - known) if known else cost


def _work(job: Job) -> float:
    request: Any = job.request
    steps = request.num_inference_steps or 1
    seconds = getattr(request, "audio_length_in_s", None) or 5.0
    return float((steps + 2) * request.num_waveforms_per_prompt * (seconds + 1.0))
