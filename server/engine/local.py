"""The engine on this machine: lines of jobs in front of one worker process.

The worker may hold several jobs (:mod:`server.engine.admission` says which) and says whose turn it
is on the device. If it dies, those are tried once more, each alone; the others go on as if nothing
was.
"""

from __future__ import annotations

import asyncio
import logging
import time
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgspec

from server.engine.admission import Rota
from server.engine.engine import EngineStatus, Listener, Unlisten
from server.errors import (
    EngineUnavailable,
    ModelError,
    RenderError,
    StorageFull,
)
from server.jobs.book import JobBook
from server.jobs.job import Job, JobState, Preview, check_queue, new_job, same_again, take_stem
from server.jobs.journal import Journal
from server.jobs.storage import preview_path, remove_preview
from server.model.manifest import Manifest
from server.requests.request import AnyRequest
from server.worker.process import WORKER_GONE, WorkerProcess, worker_process
from server.worker.protocol import Cancel, Done, Failed, FromWorker, Heard, Render, Step, Turn

__all__ = ["LocalEngine"]

log = logging.getLogger("audioldm.engine")

MAX_ATTEMPTS: Final = 2
"""A job whose worker died is tried once more with the same seed; a second death fails it."""
MAX_LOADS: Final = 3
"""A worker that dies before it has loaded the model for the first time is started again; the third
death is taken for the model's fault."""
_RESTART_PAUSE_S: Final = 0.5


class LocalEngine:
    """Implements :class:`server.engine.engine.Engine` with an isolated worker process.

    ``step_timeout_s`` is the longest a worker may be silent while it renders; then it counts as
    hung and is started again. Without ``joining`` jobs never share a unet call. With a
    ``journal``, jobs outlive this process; the engine closes it.
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
        joining: bool = True,
        journal: Journal | None = None,
    ) -> None:
        self._manifest = Manifest.load(model)
        self._digest = self._manifest.digest
        self._worker_options = (model, device, threads)
        self._takes_folder = takes_folder
        self._max_queued = max_queued
        self._step_timeout_s = step_timeout_s
        self._jobs = JobBook()
        self._journal = journal
        self._arriving: dict[str, asyncio.Task[Job]] = {}
        self._rota = Rota(self._manifest)
        self._joining = joining
        self._on_device: tuple[str, ...] = ()
        self._cancelling: set[str] = set()
        self._draining = False
        self._patience: asyncio.Timeout | None = None
        self._worker: WorkerProcess | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._state = "down"
        self._providers: tuple[str, ...] = ()
        self._restarts = 0

    @property
    def manifest(self) -> Manifest:
        """The model in use."""
        return self._manifest

    @property
    def journal(self) -> Journal | None:
        """Where jobs and takes are written down."""
        return self._journal

    async def start(self) -> None:
        """Take up what the journal holds, start the worker, wait until it has loaded the model.

        Raises:
            ModelError: the model cannot be loaded.
            Conflict: another process holds the journal.
        """
        self._take_up_journal()
        ready = asyncio.get_running_loop().create_future()
        self._state = "starting"
        self._keeper = asyncio.create_task(self._keep_a_worker(ready))
        try:
            await ready
        except BaseException:
            await self.close()
            raise

    async def drain(self, timeout_s: float) -> None:
        """Refuse new jobs and begin none; return when the running ones are finished, or in time."""
        self._draining = True
        finished = asyncio.Event()
        unlisten = self.listen(lambda job: finished.set() if job.state.final else None)
        try:
            async with asyncio.timeout(timeout_s):
                while self._rota.inside or any(j.state is JobState.RUNNING for j in self._jobs):
                    finished.clear()
                    await finished.wait()
        except TimeoutError:
            log.warning("%s still running after %.0f s", ", ".join(self._rota.inside), timeout_s)
        finally:
            unlisten()

    async def close(self) -> None:
        """Stop the worker. Unfinished jobs stay in the journal; without one they fail."""
        await asyncio.gather(*self._arriving.values(), return_exceptions=True)
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        self._state = "down"
        self._rota.clear()
        for job in self._jobs:
            if not job.state.final:
                self._remove_preview(job)
        if self._journal is not None:
            journal, self._journal = self._journal, None
            await asyncio.to_thread(journal.close)
            return
        gone = (EngineUnavailable.code, "the engine was shut down before the job was finished")
        for job in self._jobs:
            await self._finish(job.id, JobState.FAILED, error=gone)

    async def submit(
        self,
        request: AnyRequest,
        *,
        owner: str = "",
        request_id: str = "",
        folder: Path | None = None,
    ) -> Job:
        """Queue ``request``; see :meth:`server.engine.engine.Engine.submit`."""
        known = await self._known(owner, request_id)
        if known is not None:
            return same_again(known, request, self._manifest)
        job = self._accepted(request, owner, request_id, folder or self._takes_folder)
        arrival = asyncio.create_task(self._arrive(job))
        self._arriving[job.id] = arrival
        # A client that goes away must not leave a job that is written down but not queued.
        return await asyncio.shield(arrival)

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; see :meth:`server.engine.engine.Engine.cancel`."""
        job = self._jobs[job_id]
        if job_id in self._rota.inside:
            self._cancelling.add(job_id)
            if self._worker is not None:
                await self._worker.send(Cancel(job_id))
        elif not job.state.final and job_id in self._rota:
            self._rota.remove(job_id)
            await self._finish(job_id, JobState.CANCELLED)
            self._renumber()
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
            queued=len(self._rota) + len(self._arriving),
            running=len(self._rota.inside),
            restarts=self._restarts,
            details={"worker_pid": self._worker.pid} if self._worker else {},
        )

    def _take_up_journal(self) -> None:
        if self._journal is None:
            return
        self._jobs.restore(self._journal.load())
        for job in self._jobs:
            if job.state is JobState.QUEUED:
                self._rota.append(job)
        if len(self._rota):
            log.info("%d jobs of the last run go on", len(self._rota))

    async def _known(self, owner: str, request_id: str) -> Job | None:
        """The job that this request id made before, also if it is only just being written."""
        for arrival in tuple(self._arriving.values()) if request_id else ():
            await asyncio.gather(asyncio.shield(arrival), return_exceptions=True)
        return self._jobs.of_request(owner, request_id)

    def _accepted(self, request: AnyRequest, owner: str, request_id: str, folder: Path) -> Job:
        if self._keeper is None or self._draining:
            raise EngineUnavailable("the engine is not running or about to stop")
        check_queue(len(self._rota) + len(self._arriving), self._max_queued)
        return new_job(request, self._manifest, folder, owner=owner, request_id=request_id)

    async def _arrive(self, job: Job) -> Job:
        """Write the job down, then queue it: what is acknowledged is on disk."""
        try:
            if self._journal is not None:
                await self._journal.record(job)
        finally:
            del self._arriving[job.id]
        self._rota.append(job)
        job = msgspec.structs.replace(job, position=dict(self._rota.positions())[job.id])
        self._jobs.add(job)
        self._renumber()
        await self._feed()
        return job

    async def _keep_a_worker(self, ready: asyncio.Future[None]) -> None:
        """One worker after the other for as long as the engine is up."""
        for number in count(1):
            try:
                async with worker_process(*self._worker_options) as worker:
                    self._worker, self._state = worker, "ready"
                    self._providers = worker.ready.providers
                    self._rota.frames_a_call = self._joining * worker.ready.frames_a_call
                    if not ready.done():
                        ready.set_result(None)
                    await self._serve(worker)
            except ModelError as error:
                if not ready.done():
                    ready.set_exception(error)
                    return
                log.warning("the worker could not start again: %s", error)
            except WORKER_GONE as error:
                if number == MAX_LOADS and not ready.done():
                    name = self._manifest.name
                    died = ModelError(f"the worker died {number} times while it loaded {name}")
                    ready.set_exception(died)
                    return
                log.warning("the worker is gone (%s); starting another", type(error).__name__)
            finally:
                self._worker, self._state = None, "restarting"
            self._restarts += 1
            await asyncio.sleep(_RESTART_PAUSE_S)

    async def _serve(self, worker: WorkerProcess) -> None:
        """Feed one worker until it dies, or says nothing for too long while it has jobs."""
        try:
            async with asyncio.timeout(None) as self._patience:
                await self._feed()
                while True:
                    event = await worker.receive()
                    self._patience.reschedule(None)
                    await self._take_note(event)
                    await self._feed()
                    self._watch()
        except WORKER_GONE as error:
            self._worker, self._patience = None, None
            await self._worker_lost(hung=isinstance(error, TimeoutError))
            raise

    async def _feed(self) -> None:
        """Give the worker what it may have."""
        while not self._draining and (worker := self._worker) and (job := self._rota.admit()):
            if len(self._rota.inside) == 1:
                self._watch()
            await worker.send(self._order(job))

    def _order(self, job: Job) -> Render:
        request = job.request
        preview = preview_path(self._takes_folder, job.id) if request.previews else None
        return Render(job.id, request, job.folder, take_stem(job), request.live, preview)

    def _watch(self) -> None:
        """The worker has been heard just now; from here on its silence counts."""
        if self._patience is not None:
            now = asyncio.get_running_loop().time()
            self._patience.reschedule(now + self._step_timeout_s if self._rota.inside else None)

    async def _take_note(self, event: FromWorker) -> None:
        match event:
            case Turn(job_ids):
                self._on_device = job_ids
                for job_id in job_ids:
                    if self._jobs[job_id].state is JobState.QUEUED:
                        await self._begin(job_id)
            case Step(job_id, done, total):
                # A step of one group of takes is only a part of a step of the job.
                if (self._jobs[job_id].step, self._jobs[job_id].num_steps) != (done, total):
                    self._jobs.change(job_id, step=done, num_steps=total)
            case Heard(job_id, step):
                preview = Preview(step, preview_path(self._takes_folder, job_id))
                self._jobs.change(job_id, preview=preview)
            case Done(job_id, takes):
                await self._end(job_id, JobState.DONE, takes=takes)
            case Failed(job_id, "cancelled", _):
                await self._end(job_id, JobState.CANCELLED)
            case Failed(job_id, code, message):
                await self._end(job_id, JobState.FAILED, error=(code, message))

    async def _begin(self, job_id: str) -> None:
        attempts = self._jobs[job_id].attempts + 1
        job = self._jobs.change(
            job_id, state=JobState.RUNNING, position=0, attempts=attempts, started_s=time.time()
        )
        await self._write_down(job)
        self._renumber()

    async def _end(
        self, job_id: str, state: JobState, *, error: tuple[str, str] = ("", ""), **changes: Any
    ) -> None:
        """The worker is through with a job."""
        self._rota.leave(job_id)
        self._cancelling.discard(job_id)
        await self._finish(job_id, state, error=error, **changes)

    async def _finish(
        self, job_id: str, state: JobState, *, error: tuple[str, str] = ("", ""), **changes: Any
    ) -> None:
        """The last snapshot of a job, ``error`` as (code, sentence): written, then told."""
        if self._jobs[job_id].state.final:
            return
        code, sentence = error
        last = msgspec.structs.replace(
            self._jobs[job_id],
            state=state,
            error_code=code,
            error=sentence,
            position=0,
            preview=None,
            finished_s=time.time(),
            **changes,
        )
        await self._write_down(last)
        self._remove_preview(last)
        self._jobs.put(last)

    async def _write_down(self, job: Job) -> None:
        """A change of an accepted job; where the disk is full the show goes on without."""
        if self._journal is not None:
            try:
                await self._journal.record(job)
            except StorageFull as error:
                log.warning(
                    "job %s is %s, which could not be written: %s", job.id, job.state, error
                )

    async def _worker_lost(self, *, hung: bool) -> None:
        """Its jobs are first in line again, without those that are through."""
        suspects, self._on_device = set(self._on_device), ()
        how = "hung" if hung else "died"
        for job_id in suspects & self._rota.inside.keys():
            attempts = self._jobs[job_id].attempts
            if attempts >= MAX_ATTEMPTS and job_id not in self._cancelling:
                sentence = f"the worker {how} on this job {attempts} times; ask for less at a time"
                await self._end(job_id, JobState.FAILED, error=(RenderError.code, sentence))
        while cancelled := next(iter(self._rota.inside.keys() & self._cancelling), None):
            await self._end(cancelled, JobState.CANCELLED)
        back = [self._as_before(job_id, job_id in suspects) for job_id in self._rota.inside]
        self._rota.put_back(back)
        self._renumber()

    def _as_before(self, job_id: str, suspect: bool) -> Job:
        """Queued again; a job that was only waiting for its turn has not failed an attempt."""
        job = self._jobs[job_id]
        attempts = job.attempts - int(job.state is JobState.RUNNING and not suspect)
        return self._jobs.change(
            job_id, state=JobState.QUEUED, step=0, preview=None, attempts=attempts
        )

    def _remove_preview(self, job: Job) -> None:
        if job.request.previews:
            remove_preview(self._takes_folder, job.id)

    def _renumber(self) -> None:
        for job_id, position in self._rota.positions():
            if self._jobs[job_id].position != position:
                self._jobs.change(job_id, position=position)
