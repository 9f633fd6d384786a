"""Jobs over OSC: requests to the engine, and what happens to them back to who asked.

Snapshots of a job are cumulative, so a client is told what is new in the newest one since
it was told last; nothing is told before the acceptance, whatever the engine says meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from osc_bridge.messages.jobs import (
    UNSCORED,
    JobAccepted,
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
from osc_bridge.messages.server import Sync, Synced
from osc_bridge.messages.submissions import PRESSES, SUBMISSIONS, Press, Submission
from osc_bridge.service.allowed_folders import AllowedFolders
from osc_bridge.service.client_table import KnownClient, Reported
from osc_bridge.service.service import Context, Handler, Service
from server.engine.engine import Engine
from server.errors import EngineUnavailable, NotFound, error_for
from server.jobs.job import Job, JobState
from server.requests.fields import fields_of
from server.requests.request import AnyRequest

__all__ = ["JobMessages"]


class JobMessages:
    """Handlers of the job addresses, and the listener that answers their senders."""

    def __init__(self, service: Service, engine: Engine, folders: AllowedFolders) -> None:
        self._service = service
        self._engine = engine
        self._folders = folders
        self._announced: dict[str, int] = {}
        """Takes of running jobs that all have been told of."""
        self._stop_listening = engine.listen(self._changed)

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
        """Stop listening to the engine; nobody is left waiting for a job without a word."""
        self._stop_listening()
        gone = EngineUnavailable("audioldm-daw is shut down; send the request again later")
        for client in self._service.clients:
            for job_id, told in client.open_jobs.items():
                fail = JobFail(told.request_id, job_id, gone.code, str(gone))
                self._service.reply(client, fail)
            client.open_jobs.clear()

    async def _submit(self, submission: Submission, context: Context) -> None:
        client, request_id = context.client, submission.request_id
        options = submission.options
        job = await self._engine.submit(
            self._with_files_checked(submission.request, client),
            owner=client.key,
            request_id=request_id,
            folder=self._folders.folder(options.folder) if options.folder else None,
        )
        client.remember(request_id, job.id)
        # A repeated message is told everything once more, for replies get lost like datagrams;
        # but the completion is executed once.
        told = client.open_jobs.get(job.id)
        completion = b"" if job.state.final else options.completion
        client.open_jobs[job.id] = Reported(request_id, told.completion if told else completion)
        self._service.reply(client, JobAccepted(request_id, job.id, job.position))
        self._tell(client, self._engine.job(job.id))

    async def _press(self, press: Press, context: Context) -> None:
        if press.pressed:
            await self._submit(press.submission.from_osc((), context.client.settings), context)

    def _with_files_checked(self, request: AnyRequest, client: KnownClient) -> AnyRequest:
        """The request with its files as absolute paths that this client may name."""
        local, resolved = client.sender.is_local, {}
        for field in fields_of(type(request)):
            if field.extra.get("file") and (name := getattr(request, field.name)):
                resolved[field.name] = str(self._folders.file(name, anywhere=local))
        return msgspec.structs.replace(request, **resolved)

    async def _cancel(self, cancel: JobCancel, context: Context) -> None:
        await self._engine.cancel(self._find(cancel.id, context.client).id)

    async def _status(self, status: JobStatus, context: Context) -> None:
        self._service.reply(context.client, _state(self._find(status.id, context.client)))

    async def _list(self, _: JobList, context: Context) -> None:
        own = [job for job in self._engine.jobs() if job.owner == context.client.key]
        for job in own[-MAX_LISTED:]:
            await asyncio.sleep(0)  # others have their turn
            self._service.reply(context.client, _state(job))
        self._service.reply(context.client, JobListed(len(own[-MAX_LISTED:])))

    async def _sync(self, sync: Sync, context: Context) -> None:
        waiting = set(context.client.open_jobs)
        if waiting:
            context.client.syncs.append((Synced(sync.token), waiting))
        else:
            self._service.reply(context.client, Synced(sync.token))

    def _find(self, either_id: str, client: KnownClient) -> Job:
        """A job by the client's own request id, else by job id.

        Raises:
            NotFound: neither.
        """
        try:
            return self._engine.job(client.job_ids.get(either_id, either_id))
        except NotFound:
            raise NotFound(f"no job {either_id!r} is known") from None

    def _changed(self, job: Job) -> None:
        """The engine has a new snapshot."""
        client = self._service.clients.get(job.owner)
        if client is not None and job.id in client.open_jobs:
            self._tell(client, job)
        self._announce(job)

    def _tell(self, client: KnownClient, job: Job) -> None:
        """Tell the owner what is new."""
        told, reply = client.open_jobs[job.id], self._service.reply
        if job.step > told.step or (job.step and job.step < told.step):
            told.step = job.step
            reply(client, JobProgress(told.request_id, job.id, job.step, job.num_steps))
        if job.preview is not None and job.preview != told.preview:
            preview = JobPreview(told.request_id, job.id, job.preview.step, str(job.preview.path))
            reply(client, preview)
        told.preview = job.preview
        for index in range(told.num_takes, len(job.takes)):
            reply(client, _take(told.request_id, job, index))
        told.num_takes = len(job.takes)
        if job.state.final:
            del client.open_jobs[job.id]
            self._tell_end(client, job, told)
            self._tell_syncs(client, job.id)

    def _tell_end(self, client: KnownClient, job: Job, told: Reported) -> None:
        reply, request_id = self._service.reply, told.request_id
        if job.state is JobState.DONE:
            reply(client, JobDone(request_id, job.id, len(job.takes)))
            if told.completion:
                self._service.receive(told.completion, client.sender)
        elif job.state is JobState.CANCELLED:
            reply(client, JobFail(request_id, job.id, "cancelled", "the job was cancelled"))
        else:
            reply(client, JobFail(request_id, job.id, job.error_code, job.error))
            error = error_for(job.error_code, job.error)
            self._service.report(client, error, f"job {job.id}")

    def _tell_syncs(self, client: KnownClient, job_id: str) -> None:
        for synced, waiting in tuple(client.syncs):
            waiting.discard(job_id)
            if not waiting:
                client.syncs.remove((synced, waiting))
                self._service.reply(client, synced)

    def _announce(self, job: Job) -> None:
        """Tell everybody with notices on."""
        notice = JobNotice(
            job.owner, job.request_id, job.id, job.state.value, job.step, job.num_steps
        )
        self._service.broadcast(notice)
        for index in range(self._announced.get(job.id, 0), len(job.takes)):
            take = job.takes[index]
            self._service.broadcast(
                TakeNotice(
                    job.owner,
                    job.id,
                    index,
                    str(take.path),
                    take.seconds,
                    take.seed,
                    job.request.prompt,
                )
            )
        self._announced[job.id] = len(job.takes)
        if job.state.final:
            del self._announced[job.id]


MAX_LISTED: Final = 100
"""States sent for one /ldm/job/list, the newest jobs."""


def _state(job: Job) -> JobStateReply:
    return JobStateReply(
        job.request_id,
        job.id,
        job.state.value,
        job.position,
        job.step,
        job.num_steps,
        len(job.takes),
    )


def _take(request_id: str, job: Job, index: int) -> TakeReply:
    take = job.takes[index]
    return TakeReply(
        request_id,
        job.id,
        index,
        str(take.path),
        take.seconds,
        take.sample_rate,
        take.channels,
        take.seed,
        UNSCORED if take.score is None else take.score,
        bool(take.measures.get("silent")),
    )
