"""Keeps a renderer alive: hands it jobs and writes what it reports into the book.

If the renderer dies, the jobs that had the device are tried again, each alone; the others go on as
if nothing had happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from server.engine.admission import Admission
from server.errors import AudioLDMError, ModelError, RenderError
from server.jobs.book import JobBook
from server.jobs.job import Job, JobState, take_words
from server.jobs.queue import JobQueue
from server.jobs.storage import preview_path
from server.supervision import SupervisedTask, Supervisor
from server.worker import protocol
from server.worker.renderer import RENDERER_GONE, NewRenderer, Renderer

__all__ = ["CRASHES", "MAX_LOADS", "Executor", "Retries", "Shared"]

log = logging.getLogger("audioldm.engine")

MAX_LOADS: Final = 3
"""A renderer that dies before it has loaded the model for the first time is started again; the
third death is taken for the model's fault."""
_RESTART_PAUSE_S: float = 0.5


@dataclass(frozen=True)
class Retries:
    """How often a job is rendered whose renderer is lost under it, always with the same seed."""

    max_attempts: int
    given_up: str
    """The error of the job after the last attempt, with {attempts} and {how}."""


CRASHES: Final = Retries(2, "the worker {how} on this job {attempts} times; ask for less at a time")
"""A second death on the same job fails it."""


@dataclass(frozen=True)
class Shared:
    """What the executors of one model share.

    ``feed`` hands each as many jobs as it may have; ``on_loading`` is told how far loading is.
    """

    book: JobBook
    queue: JobQueue
    supervisor: Supervisor
    feed: Callable[[], Awaitable[None]]
    on_loading: Callable[[protocol.Loading], None]


class Executor:
    """Renders the jobs of a queue with one model on one device.

    A renderer that has jobs and is silent for ``timeout_s`` counts as hung.
    """

    def __init__(
        self,
        name: str,
        shared: Shared,
        admission: Admission,
        new_renderer: NewRenderer,
        *,
        retries: Retries = CRASHES,
        timeout_s: float | None = None,
    ) -> None:
        self.name = name
        self.state = "down"
        self.restarts = 0
        self.providers: tuple[str, ...] = ()
        self._shared = shared
        self._book = shared.book
        self._admission = admission
        self._new_renderer = new_renderer
        self._retries = retries
        self._timeout_s = timeout_s
        self._renderer: Renderer | None = None
        self._task: SupervisedTask | None = None
        self._first: asyncio.Future[None] | None = None
        self._watchdog: asyncio.Timeout | None = None
        self._on_device: frozenset[str] = frozenset()
        self._cancelling: set[str] = set()
        self._draining = False
        self._idle = asyncio.Event()

    @property
    def num_jobs(self) -> int:
        """Jobs that the renderer has."""
        return len(self._admission.admitted)

    @property
    def details(self) -> dict[str, Any]:
        """What the renderer shows of itself; empty while there is none."""
        return self._renderer.details if self._renderer else {}

    def has(self, job_id: str) -> bool:
        """Whether the renderer has the job."""
        return job_id in self._admission.admitted

    async def start(self) -> None:
        """Return when the renderer has loaded its model.

        Raises:
            ModelError: it cannot.
        """
        self.state = "starting"
        self._first = asyncio.get_running_loop().create_future()
        self._task = self._shared.supervisor.add(
            SupervisedTask(
                self.name,
                self._render,
                pause_s=_RESTART_PAUSE_S,
                expected=(*RENDERER_GONE, AudioLDMError, OSError),
                on_failure=self._failed,
            )
        )
        try:
            await self._first
        except BaseException:
            await self.stop()
            raise

    async def drain(self, timeout_s: float) -> None:
        """Begin no job; return when those that the renderer has are finished, or in time."""
        self._draining = True
        try:
            async with asyncio.timeout(timeout_s):
                while self._admission.admitted:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            jobs = ", ".join(self._admission.admitted)
            log.warning("%s still running after %.0f s", jobs, timeout_s)

    async def stop(self) -> None:
        """Stop the renderer; the jobs that it has wait again."""
        self._draining = True
        if self._task is not None:
            await self._shared.supervisor.stop(self._task)
            self._task = None
        self.state = "down"
        await self._retry(tuple(self._admission.admitted), frozenset(), "stopped")

    async def cancel(self, job_id: str) -> None:
        """Have the renderer give up a job at its next step."""
        self._cancelling.add(job_id)
        if self._renderer is not None:
            await self._renderer.send(protocol.Cancel(job_id))

    def admit(self) -> Job | None:
        """Take the next job that the renderer may have out of the queue."""
        if self._renderer is None or self._draining:
            return None
        return self._admission.admit(self._shared.queue)

    async def send(self, job: Job) -> None:
        """Hand an admitted job to the renderer."""
        if self.num_jobs == 1:
            self._watch()
        if self._renderer is not None:
            request = job.request
            preview = preview_path(self._book.takes_folder, job.id) if request.previews else None
            render = protocol.Render(
                job.id, request, job.folder, take_words(job), job.live, preview
            )
            await self._renderer.send(render)

    async def _render(self) -> None:
        """The life of one renderer."""
        try:
            async with self._new_renderer() as renderer:
                self._came_up(renderer)
                await self._serve(renderer)
        finally:
            self._renderer, self.state = None, "restarting"

    def _came_up(self, renderer: Renderer) -> None:
        self._renderer, self.state = renderer, "ready"
        self.providers = renderer.ready.providers
        self._admission.configure(renderer.ready)
        if renderer.ready.step_s:
            self._book.cost.prime(renderer.ready.step_s, renderer.ready.step_of_s)
        if self._first is not None and not self._first.done():
            self._first.set_result(None)

    async def _serve(self, renderer: Renderer) -> None:
        """Feed one renderer until it dies, or is silent for too long while it has jobs."""
        try:
            async with asyncio.timeout(None) as self._watchdog:
                await self._shared.feed()
                while True:
                    event = await renderer.receive()
                    self._watchdog.reschedule(None)
                    await self._apply(event)
                    await self._shared.feed()
                    self._watch()
        except Exception as error:
            self._renderer, self._watchdog = None, None
            how = "hung" if isinstance(error, TimeoutError) else "died"
            suspects, self._on_device = self._on_device, frozenset()
            await self._retry(tuple(self._admission.admitted), suspects, how)
            raise

    def _failed(self, error: Exception) -> None:
        """The renderer is gone; before the model was ever loaded, not without end."""
        self.restarts += 1
        if self._first is None or self._first.done():
            return
        if isinstance(error, AudioLDMError):
            self._first.set_exception(error)
        elif self.restarts == MAX_LOADS:
            died = f"{self.name} died {MAX_LOADS} times while it loaded its model ({error!r})"
            self._first.set_exception(ModelError(died))

    def _watch(self) -> None:
        """From here on the silence of a renderer that has jobs counts."""
        if self._watchdog is not None and self._timeout_s is not None:
            now = asyncio.get_running_loop().time()
            self._watchdog.reschedule(now + self._timeout_s if self._admission.admitted else None)

    async def _apply(self, event: protocol.FromWorker) -> None:
        match event:
            case protocol.OnDevice(job_ids):
                self._on_device = frozenset(job_ids)
                for job_id in job_ids:
                    await self._book.begin(job_id)
            case protocol.Step(job_id, done, total):
                self._book.step(job_id, done, total)
            case protocol.Previewed(job_id, step):
                self._book.preview(job_id, step)
            case protocol.Done(job_id, takes):
                await self._end(job_id, JobState.DONE, takes=takes)
            case protocol.Failed(job_id, "cancelled", _):
                await self._end(job_id, JobState.CANCELLED)
            case protocol.Failed(job_id, code, message):
                await self._end(job_id, JobState.FAILED, error_code=code, error=message)
            case protocol.Lost(job_id, why):
                log.warning("job %s lost its renderer: %s", job_id, why)
                self.restarts += 1
                await self._retry((job_id,), frozenset((job_id,)), "died")

    async def _end(self, job_id: str, state: JobState, **results: Any) -> None:
        """The renderer is through with a job."""
        self._admission.leave(job_id)
        self._cancelling.discard(job_id)
        self._idle.set()
        await self._book.end(job_id, state, **results)

    async def _retry(self, job_ids: tuple[str, ...], suspects: frozenset[str], how: str) -> None:
        """Jobs whose renderer is gone wait again, but for those that are cancelled or given up.

        A job that is no suspect was only waiting for the device: its attempt does not count.
        """
        for job_id in job_ids:
            attempts = self._book[job_id].attempts
            if job_id in self._cancelling:
                await self._end(job_id, JobState.CANCELLED)
            elif job_id in suspects and attempts >= self._retries.max_attempts:
                sentence = self._retries.given_up.format(attempts=attempts, how=how)
                error = RenderError(sentence)
                await self._end(job_id, JobState.FAILED, error_code=error.code, error=sentence)
        back = [job_id for job_id in job_ids if self.has(job_id)]
        for job_id in back:
            self._admission.leave(job_id)
        self._idle.set()
        self._book.put_back(back, blameless=set(back) - suspects)
        await self._shared.feed()
