"""The engine on this machine: a queue in front of one worker process."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections import deque
from pathlib import Path
from typing import Final

from server.engine import EngineStatus, Listener, Unlisten
from server.errors import Conflict, EngineUnavailable, ModelError, QueueFull, RenderError
from server.joblist import JobList
from server.jobs import Job, JobState
from server.manifest import Manifest
from server.request import AnyRequest, resolve, validate
from server.wire import Cancel, Done, Failed, FromWorker, Render, Step
from server.worker_process import WORKER_GONE, WorkerProcess, worker_process

__all__ = ["LocalEngine"]

log = logging.getLogger("audioldm.engine")

MAX_ATTEMPTS: Final = 2
"""A job whose worker died is tried once more with the same seed; a second death fails it."""
_RESTART_PAUSE_S: Final = 0.5


class LocalEngine:
    """Implements :class:`server.engine.Engine` with an isolated worker process.

    ``step_timeout_s`` is the longest a worker may be silent while it renders; then it counts as
    hung and is started again.
    """

    def __init__(
        self,
        model: Path,
        takes_folder: Path,
        *,
        device: str = "auto",
        threads: int = 0,
        max_queued: int = 256,
        step_timeout_s: float = 120.0,
    ) -> None:
        self._manifest = Manifest.load(model)
        self._digest = self._manifest.digest
        self._worker_options = (model, device, threads)
        self._takes_folder = takes_folder
        self._max_queued = max_queued
        self._step_timeout_s = step_timeout_s
        self._jobs = JobList()
        self._waiting: deque[str] = deque()
        self._cancelling: set[str] = set()
        self._work = asyncio.Event()
        self._worker: WorkerProcess | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._state = "down"
        self._providers: tuple[str, ...] = ()
        self._restarts = 0

    @property
    def manifest(self) -> Manifest:
        """The model in use."""
        return self._manifest

    async def start(self) -> None:
        """Start the worker and wait until it has loaded the model.

        Raises:
            ModelError: the model cannot be loaded.
        """
        ready = asyncio.get_running_loop().create_future()
        self._state = "starting"
        self._keeper = asyncio.create_task(self._keep_a_worker(ready))
        try:
            await ready
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop the worker; jobs that are not finished fail with ``unavailable``."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        self._state = "down"
        self._waiting.clear()
        gone = (EngineUnavailable.code, "the engine was shut down before the job was finished")
        for job in self._jobs:
            self._jobs.finish(job.id, JobState.FAILED, error=gone)

    async def submit(
        self,
        request: AnyRequest,
        *,
        owner: str = "",
        request_id: str = "",
        folder: Path | None = None,
    ) -> Job:
        """Queue ``request``; see :meth:`server.engine.Engine.submit`."""
        known = self._jobs.of_request(owner, request_id)
        if known is not None:
            return _same_again(known, request)
        if self._keeper is None:
            raise EngineUnavailable("the engine is not running")
        if len(self._waiting) >= self._max_queued:
            raise QueueFull(f"{len(self._waiting)} jobs are waiting already; try again later")
        job = Job(
            id=secrets.token_hex(5),
            request=resolve(validate(request), self._manifest),
            owner=owner,
            request_id=request_id,
            folder=folder or self._takes_folder,
            position=len(self._waiting) + (self._running() is not None),
            created_s=time.time(),
        )
        self._waiting.append(job.id)
        self._work.set()
        self._jobs.add(job)
        return job

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; see :meth:`server.engine.Engine.cancel`."""
        job = self._jobs[job_id]
        if job.state is JobState.QUEUED:
            self._waiting.remove(job_id)
            self._jobs.finish(job_id, JobState.CANCELLED)
            self._renumber()
        elif job.state is JobState.RUNNING and self._worker is not None:
            self._cancelling.add(job_id)
            await self._worker.send(Cancel(job_id))
        return self._jobs[job_id]

    def job(self, job_id: str) -> Job:
        """The newest snapshot of a job.

        Raises:
            NotFound: no such job.
        """
        return self._jobs[job_id]

    def jobs(self) -> list[Job]:
        """All remembered jobs, oldest first."""
        return list(self._jobs)

    def listen(self, listener: Listener) -> Unlisten:
        """Call ``listener`` with a snapshot at every change of any job."""
        return self._jobs.listen(listener)

    def status(self) -> EngineStatus:
        """How the engine is."""
        return EngineStatus(
            state=self._state,
            model=self._manifest.name,
            model_digest=self._digest,
            providers=self._providers,
            queued=len(self._waiting),
            running=int(self._running() is not None),
            restarts=self._restarts,
            details={"worker_pid": self._worker.pid} if self._worker else {},
        )

    async def _keep_a_worker(self, ready: asyncio.Future[None]) -> None:
        """One worker after the other for as long as the engine is up."""
        while True:
            try:
                async with worker_process(*self._worker_options) as worker:
                    self._worker, self._providers, self._state = worker, worker.providers, "ready"
                    if not ready.done():
                        ready.set_result(None)
                    await self._serve(worker)
            except ModelError as error:
                if not ready.done():
                    ready.set_exception(error)
                    return
                log.warning("the worker could not start again: %s", error)
            except WORKER_GONE as error:
                log.warning("the worker is gone (%s); starting another", type(error).__name__)
            finally:
                self._worker, self._state = None, "restarting"
            self._restarts += 1
            await asyncio.sleep(_RESTART_PAUSE_S)

    async def _serve(self, worker: WorkerProcess) -> None:
        """Feed one worker until it dies."""
        while True:
            await self._wait_for_work(worker)
            await self._render(worker, self._waiting.popleft())

    async def _wait_for_work(self, worker: WorkerProcess) -> None:
        """Return when a job is waiting.

        Raises:
            ConnectionError: the idle worker died first.
        """
        if self._waiting:
            return
        self._work.clear()
        work, death = asyncio.create_task(self._work.wait()), asyncio.create_task(worker.died())
        try:
            await asyncio.wait((work, death), return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            death.cancel()
        if not self._waiting:
            raise ConnectionError("the idle worker died")

    async def _render(self, worker: WorkerProcess, job_id: str) -> None:
        """One job, watched step by step; first in the queue again if the worker dies under it."""
        job = self._jobs.change(
            job_id,
            state=JobState.RUNNING,
            position=0,
            attempts=self._jobs[job_id].attempts + 1,
            started_s=time.time(),
        )
        self._renumber()
        try:
            await worker.send(Render(job_id, job.request, job.folder, _stem(job)))
            while not self._jobs[job_id].state.final:
                self._take_note(await worker.receive(self._step_timeout_s))
        except WORKER_GONE as error:
            self._worker_lost(job, hung=isinstance(error, TimeoutError))
            raise
        finally:
            self._cancelling.discard(job_id)

    def _take_note(self, event: FromWorker) -> None:
        match event:
            case Step(job_id, done, total):
                self._jobs.change(job_id, step=done, num_steps=total)
            case Done(job_id, takes):
                self._jobs.finish(job_id, JobState.DONE, takes=takes)
            case Failed(job_id, "cancelled", _):
                self._jobs.finish(job_id, JobState.CANCELLED)
            case Failed(job_id, code, message):
                self._jobs.finish(job_id, JobState.FAILED, error=(code, message))

    def _worker_lost(self, job: Job, *, hung: bool) -> None:
        if job.id in self._cancelling:
            self._jobs.finish(job.id, JobState.CANCELLED)
            return
        if job.attempts < MAX_ATTEMPTS:
            self._jobs.change(job.id, state=JobState.QUEUED, step=0)
            self._waiting.appendleft(job.id)
            return
        how = "hung" if hung else "died"
        sentence = f"the worker {how} on this job {job.attempts} times; ask for less at a time"
        self._jobs.finish(job.id, JobState.FAILED, error=(RenderError.code, sentence))

    def _running(self) -> Job | None:
        return next((job for job in self._jobs if job.state is JobState.RUNNING), None)

    def _renumber(self) -> None:
        ahead = int(self._running() is not None)
        for position, job_id in enumerate(self._waiting, start=ahead):
            if self._jobs[job_id].position != position:
                self._jobs.change(job_id, position=position)


def _same_again(job: Job, request: AnyRequest) -> Job:
    """The job that a repeated datagram has made before.

    Raises:
        Conflict: this time it asks for something else.
    """
    if type(request) is type(job.request) and request.prompt == job.request.prompt:
        return job
    raise Conflict(f"request id {job.request_id!r} was used before for another request")


def _stem(job: Job) -> str:
    """A file name that says what is in it: the prompt, the seed and the job."""
    words = re.sub(r"[^a-z0-9]+", "-", job.request.prompt.lower()).strip("-")[:40].strip("-")
    return f"{words or job.request.__struct_config__.tag}_{job.request.seed}_{job.id}"
