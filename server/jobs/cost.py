"""What rendering costs on this machine, measured on every job, and when jobs will be done.

Time is measured for a unit: one second of sound of one render. Denoising steps and the rest
(prompt, decoder, file) are measured apart, and the rest for each kind of job: edits read and
splice. A second is added to every length for what a step costs however short the sound is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import msgspec

from server.jobs.job import Job, JobState, Work
from server.requests.resolved import AnyResolved, ResolvedContinue, ResolvedMorph, ResolvedText

__all__ = ["CostModel"]

_WEIGHT: Final = 0.3
"""How much the newest measurement counts."""
_CLIP_S: Final = 5.0
"""What counts as the length of a job on a clip whose length is not known."""
_GUESS_S: Final = 0.01
"""A step before anything was measured: of the right order for a small model."""
_NEW_SOUND: Final = "text"
_READ_S: Final = 0.005
"""Reading and resampling a second of a clip, for each channel."""


@dataclass
class _Stepping:
    """When a running job made its first step that was seen, and its last."""

    first_step: int
    first_s: float
    last_s: float


class CostModel:
    """Learns from the snapshots of jobs."""

    def __init__(self) -> None:
        self.measured = 0
        """Finished jobs that were measured."""
        self._step_s = 0.0
        self._rest_s: dict[str, float] = {}
        self._first_step_s = 0.0
        self._stepping: dict[str, _Stepping] = {}
        self._unfinished: dict[str, Job] = {}

    def observe(self, job: Job) -> None:
        """Learn from a new snapshot."""
        if not job.state.final:
            self._unfinished[job.id] = job
            self._measure_step(job)
            return
        self._unfinished.pop(job.id, None)
        stepping = self._stepping.pop(job.id, None)
        if job.state is JobState.DONE and job.started_s and stepping is not None:
            self._measure_rest(job, stepping)

    def prime(self, step_s: float, seconds: float) -> None:
        """What a step of one render of ``seconds`` took when the model was loaded."""
        self._first_step_s = step_s / _units(1, seconds)

    def price_s(self, work: Work, read_s: float = 0.0, kind: str = _NEW_SOUND) -> float:
        """How long ``work`` is estimated to take, also before anything was measured."""
        step_s = self._step_s or self._first_step_s or _GUESS_S
        units = _units(work.renders, work.seconds)
        return units * (work.steps * step_s + self._rest_of(kind)) + _READ_S * read_s

    def expected_s(self, steps: int, renders: int, seconds: float, kind: str = _NEW_SOUND) -> float:
        """How long ``renders`` of ``seconds`` take; 0 before anything was measured."""
        return _units(renders, seconds) * (steps * self._step_s + self._rest_of(kind))

    def remaining_s(self) -> float:
        """How long all unfinished jobs take."""
        return sum(map(self._left_s, self._unfinished.values()))

    def seconds_until_done(self, job: Job) -> float | None:
        """Estimated, with the jobs ahead; None before a job has shown how fast this machine is."""
        if job.state.final or not self._step_s:
            return None
        ahead = 0.0
        if job.state is JobState.QUEUED:
            ahead = sum(
                self._left_s(other)
                for other in self._unfinished.values()
                if (other.live or not job.live)
                and (other.state is JobState.RUNNING or other.position < job.position)
            )
        return round(ahead + self._left_s(job), 2)

    def _left_s(self, job: Job) -> float:
        work = _work(job)
        return self.expected_s(work.steps - job.step, work.renders, work.seconds, _kind(job))

    def _rest_of(self, kind: str) -> float:
        """Of a kind that was not measured yet: what the cheapest takes."""
        return self._rest_s.get(kind, min(self._rest_s.values(), default=0.0))

    def _measure_step(self, job: Job) -> None:
        if job.state is not JobState.RUNNING or not job.step:
            self._stepping.pop(job.id, None)
            return
        now = time.monotonic()
        stepping = self._stepping.setdefault(job.id, _Stepping(job.step, now, now))
        if job.step > stepping.first_step:
            stepping.last_s = now
            step_s = (now - stepping.first_s) / (job.step - stepping.first_step)
            self._step_s = _mixed(self._step_s, step_s / _units_of(job))

    def _measure_rest(self, job: Job, stepping: _Stepping) -> None:
        """What a finished job took apart from its steps, of which the first was not seen begin."""
        between = job.step - stepping.first_step
        if between < 1:
            return
        stepping_s = (stepping.last_s - stepping.first_s) / between * job.num_steps
        rest_s = max(0.0, job.finished_s - job.started_s - stepping_s)
        known_s = self._rest_s.get(_kind(job), 0.0)
        self._rest_s[_kind(job)] = _mixed(known_s, rest_s / _units_of(job))
        self.measured += 1


def _kind(job: Job) -> str:
    return str(job.request.__struct_config__.tag)


def _units_of(job: Job) -> float:
    work = _work(job)
    return _units(work.renders, work.seconds)


def _work(job: Job) -> Work:
    """What is to be rendered, as the request says where nothing else is known."""
    request = job.request
    known = job.work or Work(
        request.num_inference_steps or 1, request.num_renders, _seconds(request)
    )
    return msgspec.structs.replace(known, steps=job.num_steps or known.steps)


def _units(renders: int, seconds: float) -> float:
    return renders * (seconds + 1.0)


def _seconds(request: AnyResolved) -> float:
    if isinstance(request, ResolvedText | ResolvedMorph):
        return request.seconds
    return request.audio_length_in_s if isinstance(request, ResolvedContinue) else _CLIP_S


def _mixed(known: float, new: float) -> float:
    return known + _WEIGHT * (new - known) if known else new
