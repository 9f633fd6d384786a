"""The engine of a cluster: journal and queue here, replicas that render elsewhere.

A job goes to whichever replica is free. If that dies, with its node or alone, the job goes to
another with the same seed: same samples, and it is done once for whoever waits for it. Live jobs
go first, and each replica keeps a place for one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from server.engine.engine import EngineStatus, Listener, Unlisten
from server.errors import (
    AudioLDMError,
    EngineUnavailable,
    NotFound,
    RenderError,
    StorageFull,
)
from server.http.views import file_fields
from server.jobs.book import JobBook
from server.jobs.job import (
    Job,
    JobState,
    Preview,
    TakeInfo,
    check_queue,
    new_job,
    same_again,
    take_stem,
)
from server.jobs.journal import Journal
from server.jobs.queue import JobQueue
from server.jobs.storage import preview_path, remove_parts, remove_preview, write_whole
from server.model.manifest import Manifest
from server.remote.cluster_replica import Part, PreviewPart
from server.requests.request import AnyRequest
from server.requests.resolved import AnyResolved

__all__ = ["ClusterEngine", "Replicas"]

log = logging.getLogger("audioldm.cluster")

MAX_ATTEMPTS: Final = 5
"""A crash of the model stays inside a replica; losing this many replicas is no accident."""
_PAUSE_S: Final = 0.5
_BULK_A_REPLICA: Final = 2
"""The second may share the first one's unet calls, and is there when the first is done."""


class Replicas(Protocol):
    """Where jobs are rendered."""

    async def start(self) -> int:
        """Come up; how many replicas there are to be.

        Raises:
            ModelError, EngineUnavailable.
        """

    def render(self, request: AnyResolved, files: Mapping[str, bytes]) -> AsyncIterator[Part]:
        """Render on one of them; see :meth:`server.remote.cluster_replica.Replica.render`.

        Raises:
            ConnectionError: the replica is gone.
        """

    async def close(self) -> None:
        """Let them go."""


class ClusterEngine:
    """Implements :class:`server.engine.engine.Engine` with ``replicas`` of the model ``folder``.

    With a ``journal``, jobs outlive this process; the engine closes it.
    """

    def __init__(
        self,
        folder: Path,
        takes_folder: Path,
        replicas: Replicas,
        *,
        max_queued: int = 256,
        journal: Journal | None = None,
    ) -> None:
        self._manifest = Manifest.load(folder)
        self._digest = self._manifest.digest
        self._takes_folder = takes_folder
        self._replicas = replicas
        self._num_replicas = 0
        self._max_queued = max_queued
        self._journal = journal
        self._jobs = JobBook()
        self._waiting = {True: JobQueue(), False: JobQueue()}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._arriving: dict[str, asyncio.Task[Job]] = {}
        self._state = "down"
        self._losses = 0

    @property
    def manifest(self) -> Manifest:
        """The model in use."""
        return self._manifest

    @property
    def journal(self) -> Journal | None:
        """Where jobs and takes are written down."""
        return self._journal

    async def start(self) -> None:
        """Take up what the journal holds; returns when a replica can render.

        Raises:
            ModelError, EngineUnavailable: the replicas do not come up.
            Conflict: another process holds the journal.
        """
        self._state = "starting"
        try:
            if self._journal is not None:
                self._jobs.restore(self._journal.load())
            await asyncio.to_thread(remove_parts, self._takes_folder)
            self._num_replicas = await self._replicas.start()
        except BaseException:
            await self.close()
            raise
        self._state = "ready"
        for job in self._jobs:
            if job.state is JobState.QUEUED:
                self._waiting[job.request.live].append(job.owner, job.id)
        self._feed()

    async def drain(self, timeout_s: float) -> None:
        """Refuse new jobs and begin none; return when those that run are finished, or in time."""
        self._state = "draining"
        if self._running:
            await asyncio.wait(self._running.values(), timeout=timeout_s)

    async def close(self) -> None:
        """Let the replicas go. Unfinished jobs stay in the journal; without one they fail."""
        self._state = "down"
        tasks = [*self._arriving.values(), *self._running.values()]
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._replicas.close()
        if self._journal is not None:
            journal, self._journal = self._journal, None
            await asyncio.to_thread(journal.close)
            return
        gone = EngineUnavailable("the engine was shut down before the job was finished")
        for job in self._jobs:
            await self._finish(job.id, JobState.FAILED, gone)

    async def submit(
        self,
        request: AnyRequest,
        *,
        owner: str = "",
        request_id: str = "",
        folder: Path | None = None,
    ) -> Job:
        """Queue ``request``; see :meth:`server.engine.engine.Engine.submit`."""
        for arrival in tuple(self._arriving.values()) if request_id else ():
            await asyncio.gather(asyncio.shield(arrival), return_exceptions=True)
        known = self._jobs.of_request(owner, request_id)
        if known is not None:
            return same_again(known, request, self._manifest)
        if self._state != "ready":
            raise EngineUnavailable("the engine is not running or about to stop")
        check_queue(self._num_waiting(), self._max_queued)
        folder = folder or self._takes_folder
        job = new_job(request, self._manifest, folder, owner=owner, request_id=request_id)
        self._arriving[job.id] = asyncio.create_task(self._arrive(job))
        # A client that goes away must not leave a job that is written down but not queued.
        return await asyncio.shield(self._arriving[job.id])

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; see :meth:`server.engine.engine.Engine.cancel`."""
        job = self._jobs[job_id]
        if job_id in self._running:
            task = self._running[job_id]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        elif not job.state.final and job_id in self._waiting[job.request.live]:
            self._waiting[job.request.live].remove(job_id)
        await self._finish(job_id, JobState.CANCELLED)
        self._feed()
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
            providers=("Ray Serve",),
            queued=self._num_waiting(),
            running=len(self._running),
            restarts=self._losses,
            details={"replicas": self._num_replicas},
        )

    def _num_waiting(self) -> int:
        return sum(map(len, self._waiting.values())) + len(self._arriving)

    async def _arrive(self, job: Job) -> Job:
        """Write the job down, then queue it: what is acknowledged is on disk."""
        try:
            if self._journal is not None:
                await self._journal.record(job)
        finally:
            del self._arriving[job.id]
        self._waiting[job.request.live].append(job.owner, job.id)
        self._jobs.add(job)
        self._feed()
        return self._jobs[job.id]

    def _feed(self) -> None:
        """Send on what there is a place for, and tell the others how many are ahead."""
        for live, queue in self._waiting.items():
            places = self._num_replicas * (_BULK_A_REPLICA + live)
            while self._state == "ready" and queue and len(self._running) < places:
                job_id = queue.popleft()
                self._running[job_id] = asyncio.create_task(self._run(job_id))
        waiting = (job_id for queue in self._waiting.values() for job_id in queue)
        for position, job_id in enumerate(waiting, len(self._running)):
            if self._jobs[job_id].position != position:
                self._jobs.change(job_id, position=position)

    async def _run(self, job_id: str) -> None:
        """One job on one replica."""
        try:
            await self._render(job_id)
        except ConnectionError as error:
            await self._lost(job_id, error)
        except AudioLDMError as error:
            await self._finish(job_id, JobState.FAILED, error)
        except Exception as error:
            log.exception("job %s", job_id)
            await self._finish(job_id, JobState.FAILED, RenderError(repr(error)))
        finally:
            del self._running[job_id]
            self._feed()

    async def _render(self, job_id: str) -> None:
        job = self._jobs[job_id]
        files = await asyncio.to_thread(_contents, job.request)
        last, takes = job, list[TakeInfo]()
        parts = self._replicas.render(job.request, files)
        async for part in parts:
            if isinstance(part, bytes):
                takes.append(await asyncio.to_thread(_store, part, last, job, len(takes)))
            elif isinstance(part, PreviewPart):
                await self._hear(job_id, part)
            else:
                last = part
                await self._take_note(job_id, part)
        if last.state is JobState.FAILED:
            failed = AudioLDMError(last.error)
            await self._finish(job_id, JobState.FAILED, failed, error_code=last.error_code)
        elif len(takes) == len(last.takes) and last.state.final:
            await self._finish(job_id, last.state, takes=tuple(takes))
        else:
            raise ConnectionError("the replica stopped in the middle of an answer")

    async def _take_note(self, job_id: str, there: Job) -> None:
        job = self._jobs[job_id]
        if there.state is not JobState.RUNNING:
            return
        if job.state is JobState.QUEUED:
            job = self._jobs.change(
                job_id,
                state=JobState.RUNNING,
                position=0,
                attempts=job.attempts + 1,
                started_s=time.time(),
            )
            await self._write_down(job)
        if (job.step, job.num_steps) != (there.step, there.num_steps):
            self._jobs.change(job_id, step=there.step, num_steps=there.num_steps)

    async def _hear(self, job_id: str, part: PreviewPart) -> None:
        path = preview_path(self._takes_folder, job_id)
        try:
            await asyncio.to_thread(write_whole, path, part.sound)
        except StorageFull as error:
            log.info("no preview of job %s: %s", job_id, error)
        else:
            self._jobs.change(job_id, preview=Preview(part.step, path))

    async def _lost(self, job_id: str, error: ConnectionError) -> None:
        """The replica is gone: first in line again, or given up."""
        self._losses += 1
        attempts = self._jobs[job_id].attempts
        log.warning("job %s lost its replica: %s", job_id, error)
        if attempts >= MAX_ATTEMPTS:
            given_up = RenderError(f"{attempts} replicas were lost while they rendered this job")
            await self._finish(job_id, JobState.FAILED, given_up)
            return
        await asyncio.sleep(_PAUSE_S)
        job = self._jobs.change(job_id, state=JobState.QUEUED, step=0, preview=None)
        self._waiting[job.request.live].appendleft(job_id)

    async def _finish(
        self, job_id: str, state: JobState, error: AudioLDMError | None = None, **changes: Any
    ) -> None:
        """The last snapshot of a job: written, then told."""
        if self._jobs[job_id].state.final:
            return
        told = {"error_code": error.code, "error": str(error)} if error else {}
        ended: dict[str, Any] = {
            "state": state,
            "position": 0,
            "preview": None,
            "finished_s": time.time(),
        }
        if self._jobs[job_id].request.previews:
            remove_preview(self._takes_folder, job_id)
        last = msgspec.structs.replace(self._jobs[job_id], **ended, **{**told, **changes})
        await self._write_down(last)
        self._jobs.put(last)

    async def _write_down(self, job: Job) -> None:
        """A change of an accepted job; where the disk is full the show goes on without."""
        if self._journal is not None:
            try:
                await self._journal.record(job)
            except StorageFull as error:
                log.warning("job %s is %s, which was not written: %s", job.id, job.state, error)


def _contents(request: AnyResolved) -> dict[str, bytes]:
    """The files that a request names, by field."""
    found = {}
    for name in file_fields(type(request)):
        if path := getattr(request, name):
            try:
                found[name] = Path(path).read_bytes()
            except OSError as error:
                raise NotFound(f"{path} cannot be read: {error.strerror}") from error
    return found


def _store(data: bytes, there: Job, job: Job, k: int) -> TakeInfo:
    """A take that came over the network, where the job wants it."""
    take = there.takes[k]
    path = job.folder / f"{take_stem(job)}-{k + 1}{take.path.suffix}"
    write_whole(path, data)
    return msgspec.structs.replace(take, path=path)
