"""What is told to clients that asked to hear of everything."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.messages.arguments import Count, JobId, Length, RequestId, TakeIndex, TakePath
from osc_bridge.messages.message import Command, Message, Reply

__all__ = ["EngineNotice", "JobNotice", "Notified", "Notify", "TakeNotice"]


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
