"""Jobs that the stage submits to the engine, and how long they take."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Final

import msgspec

from server.engine.engine import Engine
from server.errors import AudioLDMError, Cancelled, InvalidRequest, RenderError
from server.jobs.job import Job, JobState
from server.requests.request import AnyRequest, NewSound, resolve

__all__ = ["BarPlan", "RenderSpeed", "Renders"]

_SMOOTHING: Final = 0.3
_RESERVE: Final = 1.2
"""A render is expected to take this much longer than its like did."""
_FEWEST_STEPS: Final = 2


class BarPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The largest render that is ready in time."""

    num_inference_steps: int
    num_takes: int
    expected_s: float
    margin_s: float
    """Time left over; negative where even the smallest render would be late."""


class RenderSpeed:
    """Measured cost of a render: steps and the rest, each per second of sound and take."""

    def __init__(self) -> None:
        self.step_cost = 0.0
        """Seconds a step takes for a second of sound."""
        self.fixed_cost = 0.0
        """Seconds that text, decoder and file take for a second of sound."""
        self.measured = 0

    def note(self, steps: int, takes: int, seconds: float, stepping_s: float, all_s: float) -> None:
        """A job took ``all_s``, of which ``stepping_s`` for its steps."""
        amount = takes * seconds
        step, fixed = stepping_s / (steps * amount), max(0.0, all_s - stepping_s) / amount
        share = _SMOOTHING if self.measured else 1.0
        self.step_cost += share * (step - self.step_cost)
        self.fixed_cost += share * (fixed - self.fixed_cost)
        self.measured += 1

    def expected_s(self, steps: int, takes: int, seconds: float) -> float:
        """How long a job is going to take; 0 before anything was measured."""
        return takes * seconds * (steps * self.step_cost + self.fixed_cost) * _RESERVE

    def plan(self, steps: int, takes: int, seconds: float, budget_s: float) -> BarPlan:
        """As many takes, then as many steps, as fit into ``budget_s``."""
        n, k = steps, takes
        while k > 1 and self.expected_s(n, k, seconds) > budget_s:
            k -= 1
        while n > _FEWEST_STEPS and self.expected_s(n, k, seconds) > budget_s:
            n -= 1
        expected = self.expected_s(n, k, seconds)
        return BarPlan(
            num_inference_steps=n, num_takes=k, expected_s=expected, margin_s=budget_s - expected
        )


class Renders:
    """Submits jobs, waits for them and measures them. Belongs to one asyncio loop.

    Args:
        engine: renders.
        owner: the client's name in the engine.
    """

    def __init__(self, engine: Engine, owner: str = "stage") -> None:
        self.engine = engine
        self.speed = RenderSpeed()
        self._owner = owner
        self._waiting: dict[str, asyncio.Future[Job]] = {}
        self._stepping: dict[str, tuple[int, float, float]] = {}
        self._unlisten = engine.listen(self._job_changed)

    def close(self) -> None:
        """Stop listening to the engine."""
        self._unlisten()

    async def render(self, request: AnyRequest, folder: Path | None = None) -> Job:
        """Render a request; cancelling this coroutine cancels the job.

        Raises:
            InvalidRequest, QueueFull, EngineUnavailable, ...: it was not accepted.
            RenderError: it failed.
            Cancelled: it was cancelled.
        """
        job = await self.engine.submit(request, owner=self._owner, folder=folder)
        future: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._waiting[job.id] = future
        self._job_changed(self.engine.job(job.id))
        try:
            done = await future
        except asyncio.CancelledError:
            with contextlib.suppress(AudioLDMError):
                await self.engine.cancel(job.id)
            raise
        finally:
            self._waiting.pop(job.id, None)
        if done.state is JobState.CANCELLED:
            raise Cancelled("the render was cancelled")
        if done.state is JobState.FAILED:
            kind = InvalidRequest if done.error_code == InvalidRequest.code else RenderError
            raise kind(done.error or "the render failed")
        return done

    def plan(self, request: NewSound, budget_s: float) -> BarPlan:
        """The largest part of ``request`` that is ready in ``budget_s``, after the queued jobs."""
        full = resolve(request, self.engine.manifest)
        seconds = full.length_s(self.engine.manifest.defaults.audio_length_in_s)
        queue_s = sum(self._left_s(job) for job in self.engine.jobs() if not job.state.final)
        steps = full.num_inference_steps or _FEWEST_STEPS
        takes = full.num_waveforms_per_prompt
        return self.speed.plan(steps, takes, seconds, budget_s - queue_s)

    def _left_s(self, job: Job) -> float:
        """Expected time until a job is done."""
        request = job.request
        seconds = getattr(request, "audio_length_in_s", None)
        steps = request.num_inference_steps or _FEWEST_STEPS
        length = seconds or self.engine.manifest.defaults.audio_length_in_s
        return self.speed.expected_s(steps - job.step, request.num_renders, length)

    def _job_changed(self, job: Job) -> None:
        """Measure a job of any owner, and resume the coroutine that waits for it."""
        now = time.monotonic()
        if job.state is JobState.RUNNING and job.step:
            first, begun, _ = self._stepping.get(job.id, (job.step, now, now))
            self._stepping[job.id] = (first, begun, now)
        if not job.state.final:
            return
        self._measure(job)
        future = self._waiting.get(job.id)
        if future and not future.done():
            future.set_result(job)

    def _measure(self, job: Job) -> None:
        first, begun, last = self._stepping.pop(job.id, (0, 0.0, 0.0))
        between = job.step - first
        if job.state is not JobState.DONE or not job.takes or between < 1:
            return
        stepping_s = (last - begun) / between * job.num_steps
        seconds = job.takes[0].seconds
        all_s = max(job.finished_s - job.started_s, stepping_s)
        self.speed.note(job.num_steps, len(job.takes), seconds, stepping_s, all_s)
