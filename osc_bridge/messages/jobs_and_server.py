"""One class an OSC address: what may be said to us, and what we say.

Messages that start jobs are made from the request classes in :mod:`osc_bridge.messages.submissions`.

>>> Ping.from_osc([7.0])
Ping(token=7)
>>> Pong(7).to_osc()
OscMessage('/ldm/pong', 7)
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from osc_bridge.messages.message import Command, Message, Reply

__all__ = [
    "UNSCORED",
    "Command",
    "EngineNotice",
    "ErrorReply",
    "Help",
    "HelpReply",
    "JobAccepted",
    "JobCancel",
    "JobDone",
    "JobFail",
    "JobList",
    "JobListed",
    "JobNotice",
    "JobPreview",
    "JobProgress",
    "JobState",
    "JobStatus",
    "Message",
    "ModelInfo",
    "ModelReply",
    "Notified",
    "Notify",
    "Ping",
    "Pong",
    "Reply",
    "SetClear",
    "Setting",
    "Status",
    "StatusReply",
    "Sync",
    "Synced",
    "Take",
    "TakeNotice",
    "Version",
    "VersionReply",
]

UNSCORED = -2.0
"""Where no score was measured: outside of [-1, 1], so that the type tags never change."""

RequestId = Annotated[str, Meta(max_length=200, description="the id that the client chose")]
JobId = Annotated[str, Meta(max_length=200, description="the server's id of the job")]
EitherId = Annotated[str, Meta(max_length=200, description="request id or job id")]
Token = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1, description="sent back as it is")]
ErrorCode = Annotated[str, Meta(description="error code, the same as over HTTP")]
Sentence = Annotated[str, Meta(description="what went wrong and what to do")]
TakeIndex = Annotated[int, Meta(ge=0, description="which take, from 0")]
TakePath = Annotated[str, Meta(description="the finished file")]
Length = Annotated[float, Meta(ge=0, description="length", extra={"unit": "s"})]
Count = Annotated[int, Meta(ge=0)]


# --- housekeeping


class Pong(Reply, frozen=True):
    """Answer to a ping."""

    address: ClassVar[str] = "/ldm/pong"
    token: Token = 0


class Ping(Command, frozen=True):
    """Are you there?"""

    address: ClassVar[str] = "/ldm/ping"
    replies: ClassVar[tuple[type[Message], ...]] = (Pong,)
    token: Token = 0


class VersionReply(Reply, frozen=True):
    """Which program this is."""

    address: ClassVar[str] = "/ldm/version.reply"
    program: str
    version: str


class Version(Command, frozen=True):
    """Ask for the program's version."""

    address: ClassVar[str] = "/ldm/version"
    replies: ClassVar[tuple[type[Message], ...]] = (VersionReply,)


class StatusReply(Reply, frozen=True):
    """How the server is."""

    address: ClassVar[str] = "/ldm/status.reply"
    state: Annotated[str, Meta(description="starting, ready, restarting or down")]
    model: str
    providers: Annotated[str, Meta(description="where the model runs, separated by commas")]
    queued: Annotated[Count, Meta(description="jobs that wait")]
    running: Annotated[Count, Meta(description="jobs that are rendered now")]
    restarts: Annotated[Count, Meta(description="times the engine had to be started again")]
    clients: Annotated[Count, Meta(description="clients that are remembered")]
    received: Annotated[Count, Meta(description="packets that arrived")]
    refused: Annotated[Count, Meta(description="packets and messages that were refused")]
    late: Annotated[Count, Meta(description="bundles that arrived after their time")]


class Status(Command, frozen=True):
    """Ask how the server is."""

    address: ClassVar[str] = "/ldm/status"
    replies: ClassVar[tuple[type[Message], ...]] = (StatusReply,)


class ModelReply(Reply, frozen=True):
    """The model in use."""

    address: ClassVar[str] = "/ldm/model.reply"
    name: str
    sample_rate: Annotated[int, Meta(description="the model's own rate", extra={"unit": "Hz"})]
    audio_length_in_s: Annotated[
        float, Meta(description="length where none is asked for", extra={"unit": "s"})
    ]
    num_inference_steps: Annotated[int, Meta(description="steps where none are asked for")]
    guidance_scale: Annotated[float, Meta(description="guidance where none is asked for")]
    licence: str


class ModelInfo(Command, frozen=True):
    """Ask for the model in use and its defaults."""

    address: ClassVar[str] = "/ldm/model"
    replies: ClassVar[tuple[type[Message], ...]] = (ModelReply,)


class HelpReply(Reply, frozen=True):
    """One address: its arguments and what it does."""

    address: ClassVar[str] = "/ldm/help.reply"
    about: Annotated[str, Meta(description="the address")]
    arguments_text: Annotated[str, Meta(description="its arguments, optional ones in brackets")]
    description_text: Annotated[str, Meta(description="what it does")]


class Help(Command, frozen=True):
    """Ask about one address, or (without argument) about all that can be sent."""

    address: ClassVar[str] = "/ldm/help"
    replies: ClassVar[tuple[type[Message], ...]] = (HelpReply,)
    about: Annotated[str, Meta(description="an address")] = ""


class Synced(Reply, frozen=True):
    """All jobs that this client submitted before the sync have ended."""

    address: ClassVar[str] = "/ldm/synced"
    token: Token = 0


class Sync(Command, frozen=True):
    """Ask to be told when all jobs submitted so far have ended."""

    address: ClassVar[str] = "/ldm/sync"
    replies: ClassVar[tuple[type[Message], ...]] = (Synced,)
    token: Token = 0


class ErrorReply(Reply, frozen=True):
    """Something was refused or failed; also sent to clients with notifications on."""

    address: ClassVar[str] = "/ldm/error"
    code: ErrorCode
    sentence: Sentence
    about: Annotated[str, Meta(description="the address that was called, where known")] = ""


# --- notifications: what everybody does


class Notified(Reply, frozen=True):
    """Notifications were switched."""

    address: ClassVar[str] = "/ldm/notified"
    on: bool


class JobNotice(Reply, frozen=True):
    """A job of any client changed."""

    address: ClassVar[str] = "/ldm/notify/job"
    client: str
    request_id: RequestId
    job_id: JobId
    state: Annotated[str, Meta(description="queued, running, done, failed or cancelled")]
    step: Count
    num_steps: Count


class TakeNotice(Reply, frozen=True):
    """A take of any client is finished."""

    address: ClassVar[str] = "/ldm/notify/take"
    client: str
    job_id: JobId
    index: TakeIndex
    path: TakePath
    seconds: Length
    seed: int
    prompt: str


class EngineNotice(Reply, frozen=True):
    """The engine's state changed."""

    address: ClassVar[str] = "/ldm/notify/engine"
    state: Annotated[str, Meta(description="starting, ready, restarting or down")]
    restarts: Count


class Notify(Command, frozen=True):
    """Switch on (1) or off (0) the notices about everybody's jobs and the engine."""

    address: ClassVar[str] = "/ldm/notify"
    replies: ClassVar[tuple[type[Message], ...]] = (Notified, JobNotice, TakeNotice, EngineNotice)
    on: bool = True


# --- jobs


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


class Take(Reply, frozen=True):
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


class JobState(Reply, frozen=True):
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
    replies: ClassVar[tuple[type[Message], ...]] = (JobState, JobFail)
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
    replies: ClassVar[tuple[type[Message], ...]] = (JobState, JobListed)


# --- a client's own defaults


class Setting(Reply, frozen=True):
    """The value that this client's requests use where they name none."""

    address: ClassVar[str] = "/ldm/setting"
    name: str
    value: Any


class SetClear(Command, frozen=True):
    """Forget all values this client has set."""

    address: ClassVar[str] = "/ldm/settings/clear"
