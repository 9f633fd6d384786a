"""The small questions, and how errors are told.

>>> Ping.from_osc([7.0])
Ping(token=7)
>>> Pong(7).to_osc()
OscMessage('/ldm/pong', 7)
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.messages.arguments import Count, ErrorCode, Sentence, Token
from osc_bridge.messages.message import Command, Message, Reply

__all__ = [
    "ErrorReply",
    "Help",
    "HelpReply",
    "ModelStatus",
    "ModelReply",
    "Ping",
    "Pong",
    "Status",
    "StatusReply",
    "Sync",
    "Synced",
    "Version",
    "VersionReply",
]


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


class ModelStatus(Command, frozen=True):
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
