"""Messages about jobs; the messages that start them are submissions."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.messages.arguments import (
    Count,
    EitherId,
    ErrorCode,
    JobId,
    Length,
    RequestId,
    Sentence,
    TakeIndex,
    TakePath,
)
from osc_bridge.messages.message import Command, Message, Reply

__all__ = [
    "JobAccepted",
    "JobBulk",
    "JobCancel",
    "JobDone",
    "JobFail",
    "JobList",
    "JobListed",
    "JobPreview",
    "JobProgress",
    "JobReceived",
    "JobStateReply",
    "JobStatus",
    "TakeReply",
    "UNSCORED",
]

UNSCORED = -2.0
"""The score where none was measured: outside of [-1, 1], so that the type tag stays ``f``."""


class JobReceived(Reply, frozen=True):
    """The message has arrived and is valid; the job is not on disk yet."""

    address: ClassVar[str] = "/ldm/job/received"
    request_id: RequestId


class JobAccepted(Reply, frozen=True):
    """The job is on disk and queued; sent again when the request is repeated."""

    address: ClassVar[str] = "/ldm/job/accepted"
    request_id: RequestId
    job_id: JobId
    position: Annotated[Count, Meta(description="number of jobs ahead of it")]


class JobBulk(Reply, frozen=True):
    """The job costs more than a live job may: it waits among the bulk jobs."""

    address: ClassVar[str] = "/ldm/job/bulk"
    request_id: RequestId
    job_id: JobId
    price_s: Annotated[float, Meta(description="estimated rendering time", extra={"unit": "s"})]
    sentence: Sentence


class JobProgress(Reply, frozen=True):
    """A denoising step of the job is done."""

    address: ClassVar[str] = "/ldm/job/progress"
    request_id: RequestId
    job_id: JobId
    step: Annotated[Count, Meta(description="steps done so far")]
    num_steps: Annotated[Count, Meta(description="steps of the whole job")]


class JobPreview(Reply, frozen=True):
    """A preview of the unfinished first take, if the request asks for previews."""

    address: ClassVar[str] = "/ldm/job/preview"
    request_id: RequestId
    job_id: JobId
    step: Annotated[Count, Meta(description="denoising steps done so far")]
    path: Annotated[
        str, Meta(description="a WAV file; replaced by the next preview and deleted at the end")
    ]


class TakeReply(Reply, frozen=True):
    """A take is finished and its file is complete."""

    address: ClassVar[str] = "/ldm/take"
    request_id: RequestId
    job_id: JobId
    index: TakeIndex
    path: TakePath
    seconds: Length
    sample_rate: Annotated[int, Meta(description="sample rate of the file", extra={"unit": "Hz"})]
    channels: Annotated[int, Meta(description="number of channels")]
    seed: Annotated[int, Meta(description="the seed that renders this take again")]
    score: Annotated[
        float, Meta(description=f"similarity to the prompt; {UNSCORED:g}: not measured")
    ]
    silent: Annotated[bool, Meta(description="1 if the take is silent")] = False
    frames: Annotated[Count, Meta(description="number of frames in the file")] = 0
    warnings: Annotated[
        str, Meta(description="what is wrong with it, such as a missed note; empty if nothing is")
    ] = ""


class JobDone(Reply, frozen=True):
    """The job is done; all its takes have been sent."""

    address: ClassVar[str] = "/ldm/job/done"
    request_id: RequestId
    job_id: JobId
    num_takes: Annotated[Count, Meta(description="number of takes")]


class JobFail(Reply, frozen=True):
    """The job was refused, failed or was cancelled; no more messages follow."""

    address: ClassVar[str] = "/ldm/job/fail"
    request_id: RequestId
    job_id: JobId
    code: ErrorCode
    sentence: Sentence


class JobStateReply(Reply, frozen=True):
    """The state of a job."""

    address: ClassVar[str] = "/ldm/job/state"
    request_id: RequestId
    job_id: JobId
    state: Annotated[str, Meta(description="queued, running, done, failed or cancelled")]
    position: Annotated[Count, Meta(description="number of jobs ahead of it")]
    step: Annotated[Count, Meta(description="steps done so far")]
    num_steps: Annotated[Count, Meta(description="steps of the whole job")]
    num_takes: Annotated[Count, Meta(description="takes finished so far")]


class JobStatus(Command, frozen=True):
    """Ask for the state of a job; the error of an unknown id is not_found."""

    address: ClassVar[str] = "/ldm/job/status"
    replies: ClassVar[tuple[type[Message], ...]] = (JobStateReply, JobFail)
    id: EitherId


class JobCancel(Command, frozen=True):
    """Cancel a job at its next denoising step; it ends with /ldm/job/fail, code cancelled."""

    address: ClassVar[str] = "/ldm/job/cancel"
    replies: ClassVar[tuple[type[Message], ...]] = (JobFail,)
    id: EitherId


class JobListed(Reply, frozen=True):
    """The end of the list of jobs."""

    address: ClassVar[str] = "/ldm/job/listed"
    num_jobs: Annotated[Count, Meta(description="number of jobs in the list")]


class JobList(Command, frozen=True):
    """Ask for the states of this client's jobs, the newest 100."""

    address: ClassVar[str] = "/ldm/job/list"
    replies: ClassVar[tuple[type[Message], ...]] = (JobStateReply, JobListed)
