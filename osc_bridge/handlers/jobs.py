"""Jobs over OSC: requests to the engine, and their progress back to the client that asked.

Snapshots of a job are cumulative: a client is sent what is new since its last snapshot. Nothing is
sent before the acceptance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from osc_bridge.messages.jobs import (
    UNSCORED,
    JobAccepted,
    JobBulk,
    JobCancel,
    JobDone,
    JobFail,
    JobList,
    JobListed,
    JobPreview,
    JobProgress,
    JobStateReply,
    JobStatus,
    TakeReply,
)
from osc_bridge.messages.message import Command
from osc_bridge.messages.notices import JobNotice, TakeNotice
from osc_bridge.messages.requests.generated import PRESSES, SUBMISSIONS
from osc_bridge.messages.requests.submissions import Press, Submission
from osc_bridge.messages.server import Sync, Synced
from osc_bridge.service.allowed_folders import AllowedFolders
from osc_bridge.service.client_table import KnownClient, Reported
from osc_bridge.service.service import Context, Handler, Service
from server.engine.engine import Engine
from server.errors import EngineUnavailable, InvalidRequest, NotFound
from server.jobs.job import Job, JobState
from server.requests.fields import fields_of
from server.requests.request import AnyRequest
from server.sample_library.named_sounds import SCHEME, names_library

__all__ = ["JobHandlers"]

MAX_LISTED: Final = 100
"""States sent for one /ldm/job/list, the newest jobs."""


BeginInstant = Callable[[Submission, Context], asyncio.Future[str]]
NameSounds = Callable[[AnyRequest, Context], Awaitable[AnyRequest]]


class JobHandlers:
    """Handlers of the job addresses, and the listener that answers their senders."""

    def __init__(self, service: Service, engine: Engine, folders: AllowedFolders) -> None:
        self._service = service
        self._engine = engine
        self._folders = folders
        self._announced: dict[str, int] = {}
        """Number of takes that have been announced to all, of each job that runs."""
        self._unlisten = engine.listen(self._job_changed)
        self.begin_instant: BeginInstant = _no_library
        """Plays a sound of the library for a request; the future is given the id of its job."""
        self.name_sounds: NameSounds = _no_sounds
        """Puts files in place of the sounds of the library that a request names."""

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {
            **dict.fromkeys(SUBMISSIONS, self._submit),
            **dict.fromkeys(PRESSES, self._press),
            JobStatus: self._status,
            JobCancel: self._cancel,
            JobList: self._list,
            Sync: self._sync,
        }

    def close(self) -> None:
        """Stop listening to the engine, and fail the jobs that clients still wait for."""
        self._unlisten()
        gone = EngineUnavailable("audioldm-daw is shut down; send the request again later")
        for client in self._service.clients:
            for job_id, reported in client.open_jobs.items():
                fail = JobFail(reported.request_id, job_id, gone.code, str(gone))
                self._service.reply(client, fail)
            client.open_jobs.clear()

    # --- commands

    async def _submit(self, submission: Submission, context: Context) -> None:
        """Accept a job; what plays until its take is there begins before it is on the disk."""
        known = submission.request_id in context.client.job_ids
        if known or not submission.options.retrieve:
            await self._accept(submission, context)
            return
        accepted = self.begin_instant(submission, context)
        try:
            accepted.set_result(await self._accept(submission, context))
        finally:
            accepted.cancel()

    async def _accept(self, submission: Submission, context: Context) -> str:
        """Submit a request; returns the id of the job."""
        client, request_id = context.client, submission.request_id
        options = submission.options
        request = self._with_checked_files(submission.request, client)
        if names_library(request):
            request = await self.name_sounds(request, context)
        job = await self._engine.submit(
            request,
            owner=client.key,
            request_id=request_id,
            folder=self._folders.folder(options.folder) if options.folder else None,
        )
        client.remember(request_id, job.id)
        # A repeated message gets all answers again, for replies are lost like datagrams; its
        # completion is executed once.
        reported = client.open_jobs.get(job.id)
        completion = b"" if job.state.final else options.completion
        completion = reported.completion if reported else completion
        client.open_jobs[job.id] = Reported(request_id, completion)
        self._service.reply(client, JobAccepted(request_id, job.id, job.position))
        if job.bulk_because:
            bulk = JobBulk(request_id, job.id, job.price_s, job.bulk_because)
            self._service.reply(client, bulk)
        self._service.warn(client, self._engine.notice)
        self._report(client, self._engine.job(job.id))
        return job.id

    async def _press(self, press: Press, context: Context) -> None:
        if press.pressed:
            await self._submit(press.submission.from_osc((), context.client.settings), context)

    async def _cancel(self, cancel: JobCancel, context: Context) -> None:
        await self._engine.cancel(self._find(cancel.id, context.client).id)

    async def _status(self, status: JobStatus, context: Context) -> None:
        self._service.reply(context.client, _state(self._find(status.id, context.client)))

    async def _list(self, _: JobList, context: Context) -> None:
        own = [job for job in self._engine.jobs() if job.owner == context.client.key]
        for job in own[-MAX_LISTED:]:
            await asyncio.sleep(0)  # other clients are answered in between
            self._service.reply(context.client, _state(job))
        self._service.reply(context.client, JobListed(len(own[-MAX_LISTED:])))

    async def _sync(self, sync: Sync, context: Context) -> None:
        if context.client.open_jobs:
            context.client.add_sync(Synced(sync.token))
        else:
            self._service.reply(context.client, Synced(sync.token))

    def _with_checked_files(self, request: AnyRequest, client: KnownClient) -> AnyRequest:
        """The request with its files as absolute paths that this client may name."""
        local, resolved = client.sender.is_local, {}
        for field in fields_of(type(request)):
            if field.extra.get("file") and (name := getattr(request, field.name)):
                if name.startswith(SCHEME):
                    continue  # it becomes a file where all the others are known
                resolved[field.name] = str(self._folders.file(name, anywhere=local))
        return msgspec.structs.replace(request, **resolved)

    def _find(self, either_id: str, client: KnownClient) -> Job:
        """A job by the client's own request id, else by job id.

        Raises:
            NotFound: neither.
        """
        try:
            return self._engine.job(client.job_ids.get(either_id, either_id))
        except NotFound:
            raise NotFound(f"no job {either_id!r} is known") from None

    # --- events

    def _job_changed(self, job: Job) -> None:
        client = self._service.clients.get(job.owner)
        if client is not None and job.id in client.open_jobs:
            self._report(client, job)
        self._announce(job)

    def _report(self, client: KnownClient, job: Job) -> None:
        """Send the owner what is new."""
        reported, reply = client.open_jobs[job.id], self._service.reply
        request_id = reported.request_id
        if job.step and job.step != reported.step:
            reported.step = job.step
            reply(client, JobProgress(request_id, job.id, job.step, job.num_steps))
        if job.preview is not None and job.preview != reported.preview:
            path = str(job.preview.path)
            reply(client, JobPreview(request_id, job.id, job.preview.step, path))
        reported.preview = job.preview
        for index in range(reported.num_takes, len(job.takes)):
            reply(client, _take(request_id, job, index))
        reported.num_takes = len(job.takes)
        if job.state.final:
            del client.open_jobs[job.id]
            self._report_end(client, job, reported)
            self._report_syncs(client, job.id)

    def _report_end(self, client: KnownClient, job: Job, reported: Reported) -> None:
        reply, request_id = self._service.reply, reported.request_id
        if job.state is JobState.DONE:
            reply(client, JobDone(request_id, job.id, len(job.takes)))
            if reported.completion:
                self._service.receive(reported.completion, client.sender)
        elif job.state is JobState.CANCELLED:
            reply(client, JobFail(request_id, job.id, "cancelled", "the job was cancelled"))
        else:
            fail = JobFail(request_id, job.id, job.error_code, job.error)
            self._service.fail(client, fail, f"job {job.id}")

    def _report_syncs(self, client: KnownClient, job_id: str) -> None:
        for synced, waiting in tuple(client.syncs):
            waiting.discard(job_id)
            if not waiting:
                client.syncs.remove((synced, waiting))
                self._service.reply(client, synced)

    def _announce(self, job: Job) -> None:
        """Send the notices about a job to all clients that asked for them."""
        self._service.broadcast(
            JobNotice(
                client=job.owner,
                request_id=job.request_id,
                job_id=job.id,
                state=job.state.value,
                step=job.step,
                num_steps=job.num_steps,
            )
        )
        announced = len(job.takes) if job.temporary else self._announced.get(job.id, 0)
        for index in range(announced, len(job.takes)):
            self._service.broadcast(_take_notice(job, index))
        self._announced[job.id] = len(job.takes)
        if job.state.final:
            del self._announced[job.id]


def _no_library(_: Submission, __: Context) -> asyncio.Future[str]:
    raise InvalidRequest("retrieve: there is no sample library in this set-up")


async def _no_sounds(_: AnyRequest, __: Context) -> AnyRequest:
    raise InvalidRequest(f"{SCHEME}: there is no sample library in this set-up")


def _state(job: Job) -> JobStateReply:
    return JobStateReply(
        request_id=job.request_id,
        job_id=job.id,
        state=job.state.value,
        position=job.position,
        step=job.step,
        num_steps=job.num_steps,
        num_takes=len(job.takes),
    )


def _take(request_id: str, job: Job, index: int) -> TakeReply:
    take = job.takes[index]
    return TakeReply(
        request_id=request_id,
        job_id=job.id,
        index=index,
        path=str(take.path),
        seconds=take.seconds,
        sample_rate=take.sample_rate,
        channels=take.channels,
        seed=take.seed,
        score=UNSCORED if take.score is None else take.score,
        silent=bool(take.measures.get("silent")),
        frames=take.frames,
        warnings="; ".join(take.warnings),
    )


def _take_notice(job: Job, index: int) -> TakeNotice:
    take = job.takes[index]
    return TakeNotice(
        client=job.owner,
        job_id=job.id,
        index=index,
        path=str(take.path),
        seconds=take.seconds,
        seed=take.seed,
        prompt=job.request.prompt,
    )
