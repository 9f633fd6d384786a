"""What a program knows of its jobs on another machine: the server's word, made true here.

A job is done when its takes are here, however often the connection breaks on the way.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

from server.errors import AudioLDMError, EngineUnavailable, NotFound
from server.http.views import JobView, PreviewView, TakeView
from server.jobs.book import JobBook
from server.jobs.job import Job, JobState, Preview, TakeInfo, take_stem
from server.jobs.storage import preview_path, remove_preview, write_whole
from server.remote.client import RemoteClient

__all__ = ["RemoteJobs"]

log = logging.getLogger("audioldm.remote")

_PAUSE_S: Final = 0.1
_MAX_EARLY_VIEWS: Final = 100


class RemoteJobs:
    """Follows the server's views of ``jobs``; brings previews and takes here.

    ``connected`` is set while the server can be reached; ``takes_folder`` is where previews go.
    """

    def __init__(
        self, client: RemoteClient, jobs: JobBook, takes_folder: Path, connected: asyncio.Event
    ) -> None:
        self._client = client
        self._jobs = jobs
        self._takes_folder = takes_folder
        self._connected = connected
        self._early: OrderedDict[str, JobView] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._hearing: dict[str, asyncio.Task[None]] = {}

    def add(self, job: Job, view: JobView) -> None:
        """A job that the server accepted; its first events may have come before the answer."""
        self._jobs.add(job)
        self.see(self._early.pop(view.id, view))

    def see(self, view: JobView) -> None:
        """The server has a new snapshot."""
        try:
            job = self._jobs[view.id]
        except NotFound:
            self._early[view.id] = view
            while len(self._early) > _MAX_EARLY_VIEWS:
                self._early.popitem(last=False)
            return
        state = JobState(view.state)
        if job.state.final or view.id in self._fetching:
            return
        if state is JobState.DONE:
            self._fetching[view.id] = asyncio.create_task(self._fetch(job, view))
        elif state is JobState.FAILED and view.error is not None:
            self.fail(job.id, view.error.message, view.error.code)
        elif state.final:
            self._end(job.id, state)
        else:
            self._jobs.change(
                job.id,
                state=state,
                position=view.position,
                step=view.step,
                num_steps=view.num_steps,
                preview=job.preview if view.preview else None,
                attempts=view.attempts,
                started_s=view.started_s,
            )
            told = job.preview.step if job.preview else 0
            if view.preview and view.preview.step != told and job.id not in self._hearing:
                self._hearing[job.id] = asyncio.create_task(self._hear(job.id, view.preview))

    def fail(self, job_id: str, sentence: str, code: str) -> None:
        """The job has failed, there or on the way."""
        self._end(job_id, JobState.FAILED, error=sentence, error_code=code)

    async def close(self) -> None:
        """Stop all transfers and remove what was heard of unfinished jobs."""
        tasks = [*self._fetching.values(), *self._hearing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for job in self._jobs:
            if job.preview is not None:
                remove_preview(self._takes_folder, job.id)

    def _end(self, job_id: str, state: JobState, **changes: Any) -> None:
        remove_preview(self._takes_folder, job_id)
        changes |= {"position": 0, "preview": None, "finished_s": time.time()}
        self._jobs.change(job_id, state=state, **changes)

    async def _hear(self, job_id: str, there: PreviewView) -> None:
        """Bring a preview here; one that comes meanwhile is left out."""
        path = preview_path(self._takes_folder, job_id)
        try:
            sound = await self._client.preview(there.url)
            await asyncio.to_thread(write_whole, path, sound)
        except AudioLDMError as error:
            log.info("no preview of job %s: %s", job_id, error)
        else:
            self._jobs.change(job_id, preview=Preview(there.step, path))
        finally:
            del self._hearing[job_id]
            if self._jobs[job_id].state.final:
                remove_preview(self._takes_folder, job_id)

    async def _fetch(self, job: Job, view: JobView) -> None:
        """Bring a finished job's takes here; only then it is done."""
        try:
            takes = [await self._fetch_take(job, take) for take in view.takes]
        except AudioLDMError as error:
            self.fail(job.id, str(error), error.code)
        else:
            steps = {"step": view.step, "num_steps": view.num_steps, "attempts": view.attempts}
            self._end(job.id, JobState.DONE, takes=tuple(takes), **steps)
        finally:
            del self._fetching[job.id]

    async def _fetch_take(self, job: Job, take: TakeView) -> TakeInfo:
        name = f"{take_stem(job)}-{take.number}"
        part = job.folder / f".{name}.{os.getpid()}.part"
        while True:
            try:
                ending = await self._client.download(take, part)
                break
            except EngineUnavailable as error:
                log.warning("take %s: %s; going on when the server is back", name, error)
                await asyncio.sleep(_PAUSE_S)
                await self._connected.wait()
        path = part.with_name(name + ending)
        part.replace(path)
        return TakeInfo(
            path=path,
            seed=take.seed,
            sample_rate=take.sample_rate,
            channels=take.channels,
            frames=take.frames,
            score=take.score,
            measures=take.measures,
        )
