"""What is said about jobs once they are sent; the messages that start them are submissions."""

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
"""Where no score was measured: outside of [-1, 1], so that the type tags never change."""


class JobReceived(Reply, frozen=True):
    """The message arrived and can be read; sent before the job is written down."""

    address: ClassVar[str] = "/ldm/job/received"
    request_id: RequestId


class JobAccepted(Reply, frozen=True):
    """The job is on disk and queued (or was, when the same request arrives again)."""

    address: ClassVar[str] = "/ldm/job/accepted"
    request_id: RequestId
    job_id: JobId
    position: Annotated[Count, Meta(description="jobs ahead of it")]


class JobProgress(Reply, frozen=True):
    """A denoising step is done."""

    address: ClassVar[str] = "/ldm/job/progress"
    request_id: RequestId
    job_id: JobId
    step: Count
    num_steps: Count


class JobPreview(Reply, frozen=True):
    """The unfinished first take can be heard, where ``previews`` asks for it."""

    address: ClassVar[str] = "/ldm/job/preview"
    request_id: RequestId
    job_id: JobId
    step: Annotated[Count, Meta(description="denoising steps that it has had")]
    path: Annotated[
        str, Meta(description="a WAV file; the next one takes its place, and the end removes it")
    ]


class TakeReply(Reply, frozen=True):
    """A take is finished and its file complete."""

    address: ClassVar[str] = "/ldm/take"
    request_id: RequestId
    job_id: JobId
    index: TakeIndex
    path: TakePath
    seconds: Length
    sample_rate: Annotated[int, Meta(description="rate of the file", extra={"unit": "Hz"})]
    channels: int
    seed: Annotated[int, Meta(description="the seed that makes this take again")]
    score: Annotated[
        float, Meta(description=f"similarity with the prompt; {UNSCORED:g}: not measured")
    ]
    silent: Annotated[bool, Meta(description="1 where nothing can be heard in it")] = False


class JobDone(Reply, frozen=True):
    """All takes of the job have been announced."""

    address: ClassVar[str] = "/ldm/job/done"
    request_id: RequestId
    job_id: JobId
    num_takes: Count


class JobFail(Reply, frozen=True):
    """The job was refused, failed or was cancelled; nothing more will come."""

    address: ClassVar[str] = "/ldm/job/fail"
    request_id: RequestId
    job_id: JobId
    code: ErrorCode
    sentence: Sentence


class JobStateReply(Reply, frozen=True):
    """Where a job stands."""

    address: ClassVar[str] = "/ldm/job/state"
    request_id: RequestId
    job_id: JobId
    state: Annotated[str, Meta(description="queued, running, done, failed or cancelled")]
    position: Annotated[Count, Meta(description="jobs ahead of it")]
    step: Count
    num_steps: Count
    num_takes: Count


class JobStatus(Command, frozen=True):
    """Ask where a job stands; an unknown id is answered by /ldm/job/fail with not_found."""

    address: ClassVar[str] = "/ldm/job/status"
    replies: ClassVar[tuple[type[Message], ...]] = (JobStateReply, JobFail)
    id: EitherId


class JobCancel(Command, frozen=True):
    """Stop a job at its next denoising step; it ends with /ldm/job/fail cancelled."""

    address: ClassVar[str] = "/ldm/job/cancel"
    replies: ClassVar[tuple[type[Message], ...]] = (JobFail,)
    id: EitherId


class JobListed(Reply, frozen=True):
    """End of the list of jobs."""

    address: ClassVar[str] = "/ldm/job/listed"
    num_jobs: Count


class JobList(Command, frozen=True):
    """Ask for the state of all own jobs that have not been forgotten."""

    address: ClassVar[str] = "/ldm/job/list"
    replies: ClassVar[tuple[type[Message], ...]] = (JobStateReply, JobListed)
