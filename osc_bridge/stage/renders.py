"""Jobs that the stage submits to the engine, and how much of one is ready in time."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final

import msgspec

from server.engine.engine import Engine
from server.errors import AudioLDMError, Cancelled, InvalidRequest, RenderError
from server.jobs.cost import CostModel
from server.jobs.job import Job, JobState
from server.requests.request import AnyRequest, NewSound

__all__ = ["BarPlan", "Renders"]

_RESERVE: Final = 1.2
"""Expected times are multiplied by this, so that a render is not late."""
_FEWEST_STEPS: Final = 2


class BarPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The largest render that is ready in time."""

    num_inference_steps: int
    num_takes: int
    expected_s: float
    margin_s: float
    """Time left over; negative where even the smallest render would be late."""


class Renders:
    """Submits jobs and waits for them. Belongs to one asyncio loop.

    Args:
        engine: renders.
        owner: the client's name in the engine.
    """

    def __init__(self, engine: Engine, owner: str = "stage") -> None:
        self.engine = engine
        self._owner = owner
        self._waiting: dict[str, asyncio.Future[Job]] = {}
        self._unlisten = engine.listen(self._job_changed)

    @property
    def speed(self) -> CostModel:
        """How fast the engine renders, as measured."""
        return self.engine.cost

    def close(self) -> None:
        """Stop listening to the engine."""
        self._unlisten()

    async def render(
        self, request: AnyRequest, folder: Path | None = None, *, temporary: bool = False
    ) -> Job:
        """Render a request; cancelling this coroutine cancels the job.

        Args:
            request: what to render.
            folder: where its takes appear; the engine's own where None.
            temporary: the caller deletes the files.

        Raises:
            InvalidRequest, QueueFull, EngineUnavailable, ...: it was not accepted.
            RenderError: it failed.
            Cancelled: it was cancelled.
        """
        job = await self.engine.submit(
            request, owner=self._owner, folder=folder, temporary=temporary
        )
        try:
            return await self.ended(job.id)
        except asyncio.CancelledError:
            with contextlib.suppress(AudioLDMError):
                await self.engine.cancel(job.id)
            raise

    async def ended(self, job_id: str) -> Job:
        """A job when it is done.

        Raises:
            RenderError, InvalidRequest: it failed.
            Cancelled: it was cancelled.
        """
        future: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._waiting[job_id] = future
        try:
            self._job_changed(self.engine.job(job_id))
            done = await future
        finally:
            self._waiting.pop(job_id, None)
        if done.state is JobState.CANCELLED:
            raise Cancelled("the render was cancelled")
        if done.state is JobState.FAILED:
            kind = InvalidRequest if done.error_code == InvalidRequest.code else RenderError
            raise kind(done.error or "the render failed")
        return done

    def plan(self, request: NewSound, budget_s: float) -> BarPlan:
        """As many takes, then as many steps, as fit into ``budget_s`` behind the jobs that wait."""
        defaults = self.engine.manifest.defaults
        seconds = request.length_s(defaults.audio_length_in_s)
        steps = request.num_inference_steps or defaults.num_inference_steps
        takes = request.num_waveforms_per_prompt
        budget_s -= _RESERVE * self.speed.remaining_s()
        while takes > 1 and self._expected_s(steps, takes, seconds) > budget_s:
            takes -= 1
        while steps > _FEWEST_STEPS and self._expected_s(steps, takes, seconds) > budget_s:
            steps -= 1
        expected = self._expected_s(steps, takes, seconds)
        return BarPlan(
            num_inference_steps=steps,
            num_takes=takes,
            expected_s=expected,
            margin_s=budget_s - expected,
        )

    def _expected_s(self, steps: int, takes: int, seconds: float) -> float:
        return _RESERVE * self.speed.expected_s(steps, takes, seconds)

    def _job_changed(self, job: Job) -> None:
        """Resume the coroutine that waits for the job."""
        future = self._waiting.get(job.id)
        if job.state.final and future and not future.done():
            future.set_result(job)
