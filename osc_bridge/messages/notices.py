"""Notices about all clients' jobs and the engine, for clients that switch them on."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.messages.arguments import Count, JobId, Length, RequestId, TakeIndex, TakePath
from osc_bridge.messages.message import Command, Message, Reply

__all__ = ["EngineNotice", "JobNotice", "Notified", "Notify", "TakeNotice"]


class Notified(Reply, frozen=True):
    """Notices are switched on or off."""

    address: ClassVar[str] = "/ldm/notified"
    on: Annotated[bool, Meta(description="1: on, 0: off")]


class JobNotice(Reply, frozen=True):
    """A job of any client changed."""

    address: ClassVar[str] = "/ldm/notify/job"
    client: Annotated[str, Meta(description="the client that sent the request")]
    request_id: RequestId
    job_id: JobId
    state: Annotated[str, Meta(description="queued, running, done, failed or cancelled")]
    step: Annotated[Count, Meta(description="steps done so far")]
    num_steps: Annotated[Count, Meta(description="steps of the whole job")]


class TakeNotice(Reply, frozen=True):
    """A take of any client is finished."""

    address: ClassVar[str] = "/ldm/notify/take"
    client: Annotated[str, Meta(description="the client that sent the request")]
    job_id: JobId
    index: TakeIndex
    path: TakePath
    seconds: Length
    seed: Annotated[int, Meta(description="the seed that renders this take again")]
    prompt: Annotated[str, Meta(description="the prompt of the job")]


class EngineNotice(Reply, frozen=True):
    """The state of the engine changed."""

    address: ClassVar[str] = "/ldm/notify/engine"
    state: Annotated[str, Meta(description="starting, ready, restarting or down")]
    restarts: Annotated[Count, Meta(description="number of times the engine was restarted")]


class Notify(Command, frozen=True):
    """Switch the notices about all jobs, the stage and the engine on or off."""

    address: ClassVar[str] = "/ldm/notify"
    replies: ClassVar[tuple[type[Message], ...]] = (Notified, JobNotice, TakeNotice, EngineNotice)
    on: Annotated[bool, Meta(description="1: on, 0: off")] = True
