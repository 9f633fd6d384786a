"""Jobs that a server renders: its views become snapshots in the book, previews and takes come here.

A job is done when its takes are here, however often the connection breaks on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

import msgspec

from server.errors import AudioLDMError, EngineUnavailable, NotFound, RenderError
from server.http.views import JobView, PreviewView, TakeView
from server.jobs.book import JobBook
from server.jobs.job import Effort, Job, JobState, TakeInfo, take_name, take_words
from server.jobs.storage import preview_path, remove_preview, write_whole
from server.jobs.submission import Submission
from server.locks import holding
from server.remote.client import RemoteClient
from server.requests.fields import file_fields
from server.requests.resolved import parse_resolved

__all__ = ["RemoteJobs"]

log = logging.getLogger("audioldm.remote")

_PAUSE_S: Final = 0.1
_RETRY_PAUSES_S: Final = (0.1, 0.2, 0.4)
_FOLLOWED: Final = ("position", "step", "num_steps", "attempts", "started_s")
"""What a job here has from the server's view of it."""
_MAX_EARLY_VIEWS: Final = 100


class RemoteJobs:
    """Follows the server's views of the jobs in ``book``; brings previews and takes here.

    ``connected`` is set while the server can be reached.
    """

    def __init__(self, client: RemoteClient, book: JobBook, connected: asyncio.Event) -> None:
        self._client = client
        self._book = book
        self._connected = connected
        self._early: OrderedDict[str, JobView] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._previewing: dict[str, asyncio.Task[None]] = {}

    async def submit(self, submission: Submission) -> Job:
        """Send a submission with its clips; safe to repeat.

        Raises:
            AudioLDMError: what the server says.
            EngineUnavailable: it cannot be reached.
        """
        request, request_id = submission.request, submission.request_id
        # A drawn key makes it safe to send once more what may or may not have arrived.
        own = f"{submission.owner}\n{request_id}" if request_id else secrets.token_hex(16)
        key = hashlib.sha256(own.encode()).hexdigest()
        values: dict[str, Any] = msgspec.to_builtins(request)
        local = {name: values[name] for name in file_fields(type(request)) if values[name]}
        view = await self._send(values, local, key)
        job = Job(
            id=view.id,
            request=parse_resolved({**view.request, **local}),
            owner=submission.owner,
            request_id=request_id,
            folder=submission.folder,
            temporary=submission.temporary,
            position=view.position,
            created_s=view.created_s,
            effort=Effort(price_s=view.price_s, bulk_because=view.notice),
        )
        self._book.add(job)
        # Its first events may have come before the answer.
        await self.follow(self._early.pop(view.id, view))
        return self._book[job.id]

    async def follow(self, view: JobView) -> None:
        """The server has a new snapshot."""
        try:
            job = self._book[view.id]
        except NotFound:
            self._early[view.id] = view
            while len(self._early) > _MAX_EARLY_VIEWS:
                self._early.popitem(last=False)
            return
        state = JobState(view.state)
        if job.state.final or view.id in self._fetching:
            return
        if state is JobState.DONE:
            self._fetching[job.id] = asyncio.create_task(self._fetch(job, view))
        elif state.final:
            code, message = (view.error.code, view.error.message) if view.error else ("", "")
            await self._book.end(job.id, state, error_code=code, error=message)
        else:
            self._go_on(job, view, state)

    async def close(self) -> None:
        """Stop all transfers and remove the previews of unfinished jobs."""
        tasks = [*self._fetching.values(), *self._previewing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for job in self._book:
            if job.preview is not None:
                remove_preview(self._book.takes_folder, job.id)

    async def _send(self, values: dict[str, Any], local: dict[str, str], key: str) -> JobView:
        """Upload the ``local`` files and submit; again where the connection breaks."""
        for pause_s in _RETRY_PAUSES_S:
            with contextlib.suppress(EngineUnavailable):
                return await self._send_once(values, local, key)
            await asyncio.sleep(pause_s)
        return await self._send_once(values, local, key)

    async def _send_once(self, values: dict[str, Any], local: dict[str, str], key: str) -> JobView:
        uploads = {name: await self._client.upload(Path(path)) for name, path in local.items()}
        return await self._client.submit({**values, **uploads}, key)

    def _go_on(self, job: Job, view: JobView, state: JobState) -> None:
        known = job.preview.step if job.preview else 0
        self._book.put(
            msgspec.structs.replace(
                job,
                state=state,
                preview=job.preview if view.preview else None,
                **{name: getattr(view, name) for name in _FOLLOWED},
            )
        )
        there = view.preview
        # A preview that comes while another is on its way is left out.
        if there and there.step != known and job.id not in self._previewing:
            self._previewing[job.id] = asyncio.create_task(self._preview(job, there))

    async def _preview(self, job: Job, there: PreviewView) -> None:
        folder = self._book.takes_folder
        try:
            sound = await self._client.preview(there.url)
            await asyncio.to_thread(write_whole, preview_path(folder, job.id), sound)
        except AudioLDMError as error:
            log.info("no preview of job %s: %s", job.id, error)
        except Exception:
            log.exception("no preview of job %s", job.id)
        else:
            self._book.preview(job.id, there.step)
        finally:
            del self._previewing[job.id]
            if self._book[job.id].state.final:
                remove_preview(folder, job.id)

    async def _fetch(self, job: Job, view: JobView) -> None:
        """Bring a finished job's takes here; only then it is done."""
        try:
            takes = [await self._fetch_take(job, take) for take in view.takes]
            self._book.step(job.id, view.step, view.num_steps)
            await self._book.end(job.id, JobState.DONE, takes=tuple(takes), attempts=view.attempts)
        except AudioLDMError as error:
            await self._book.fail(job.id, error)
        except Exception as error:
            log.exception("job %s", job.id)
            await self._book.fail(job.id, RenderError(repr(error)))
        finally:
            del self._fetching[job.id]

    async def _download(self, take: TakeView, part: Path) -> str:
        """Fetch a take into ``part``, however often the connection breaks; its ending."""
        while True:
            try:
                return await self._client.download(take, part)
            except EngineUnavailable as error:
                log.warning("%s: %s; going on when the server is back", part.name, error)
                await asyncio.sleep(_PAUSE_S)
                await self._connected.wait()

    async def _fetch_take(self, job: Job, take: TakeView) -> TakeInfo:
        name = take_name(take_words(job), take.seed, job.id, take.number)
        part = job.folder / f".{name}.{os.getpid()}.part"
        with holding(part):
            path = part.with_name(name + await self._download(take, part))
            part.replace(path)
        return TakeInfo(
            path=path,
            seed=take.seed,
            sample_rate=take.sample_rate,
            channels=take.channels,
            frames=take.frames,
            score=take.score,
            measures=take.measures,
            warnings=take.warnings,
        )
