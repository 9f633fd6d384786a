"""Questions about the server, and error replies.

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
    "Cookie",
    "ErrorReply",
    "Help",
    "HelpReply",
    "ModelStatus",
    "ModelReply",
    "Ping",
    "Pong",
    "Prove",
    "Proved",
    "Status",
    "StatusReply",
    "Sync",
    "Synced",
    "Version",
    "VersionReply",
]


class Pong(Reply, frozen=True):
    """The answer to a ping."""

    address: ClassVar[str] = "/ldm/pong"
    token: Token = 0


class Ping(Command, frozen=True):
    """Check that the server answers."""

    address: ClassVar[str] = "/ldm/ping"
    replies: ClassVar[tuple[type[Message], ...]] = (Pong,)
    token: Token = 0


class VersionReply(Reply, frozen=True):
    """The name and version of the program."""

    address: ClassVar[str] = "/ldm/version.reply"
    program: Annotated[str, Meta(description="name of the program")]
    version: Annotated[str, Meta(description="version of the program")]


class Version(Command, frozen=True):
    """Ask for the version of the program."""

    address: ClassVar[str] = "/ldm/version"
    replies: ClassVar[tuple[type[Message], ...]] = (VersionReply,)


class StatusReply(Reply, frozen=True):
    """The state of the server."""

    address: ClassVar[str] = "/ldm/status.reply"
    state: Annotated[str, Meta(description="starting, ready, restarting or down")]
    model: Annotated[str, Meta(description="name of the default model")]
    providers: Annotated[str, Meta(description="ONNX Runtime providers, separated by commas")]
    queued: Annotated[Count, Meta(description="number of jobs that wait")]
    running: Annotated[Count, Meta(description="number of jobs that are being rendered")]
    restarts: Annotated[Count, Meta(description="number of times the engine was restarted")]
    clients: Annotated[Count, Meta(description="number of known clients")]
    received: Annotated[Count, Meta(description="number of packets that arrived")]
    refused: Annotated[Count, Meta(description="number of packets and messages that were refused")]
    late: Annotated[Count, Meta(description="number of bundles that arrived after their time")]


class Status(Command, frozen=True):
    """Ask for the state of the server."""

    address: ClassVar[str] = "/ldm/status"
    replies: ClassVar[tuple[type[Message], ...]] = (StatusReply,)


class ModelReply(Reply, frozen=True):
    """The default model and its defaults."""

    address: ClassVar[str] = "/ldm/model.reply"
    name: Annotated[str, Meta(description="name of the model")]
    sample_rate: Annotated[int, Meta(description="sample rate of the model", extra={"unit": "Hz"})]
    audio_length_in_s: Annotated[float, Meta(description="default length", extra={"unit": "s"})]
    num_inference_steps: Annotated[int, Meta(description="default number of denoising steps")]
    guidance_scale: Annotated[float, Meta(description="default guidance scale")]
    licence: Annotated[str, Meta(description="licence of the model")]


class ModelStatus(Command, frozen=True):
    """Ask for the default model and its defaults."""

    address: ClassVar[str] = "/ldm/model"
    replies: ClassVar[tuple[type[Message], ...]] = (ModelReply,)


class HelpReply(Reply, frozen=True):
    """One address: its arguments, and what it does."""

    address: ClassVar[str] = "/ldm/help.reply"
    about: Annotated[str, Meta(description="the address")]
    arguments_text: Annotated[str, Meta(description="its arguments, optional ones in brackets")]
    description_text: Annotated[str, Meta(description="what it does")]


class Help(Command, frozen=True):
    """Ask about one address; without an argument, about all that can be sent."""

    address: ClassVar[str] = "/ldm/help"
    replies: ClassVar[tuple[type[Message], ...]] = (HelpReply,)
    about: Annotated[str, Meta(description="an address")] = ""


class Cookie(Reply, frozen=True):
    """Send this back with /ldm/prove: more answers wait until your address is proved."""

    address: ClassVar[str] = "/ldm/cookie"
    cookie: Annotated[str, Meta(description="what to send back")]


class Proved(Reply, frozen=True):
    """Your address is proved, and the answers that waited have been sent."""

    address: ClassVar[str] = "/ldm/proved"


class Prove(Command, frozen=True):
    """Prove from another machine that answers over UDP reach you."""

    address: ClassVar[str] = "/ldm/prove"
    replies: ClassVar[tuple[type[Message], ...]] = (Proved,)
    cookie: Annotated[str, Meta(max_length=64, description="what /ldm/cookie said")]


class Synced(Reply, frozen=True):
    """All jobs that this client submitted before /ldm/sync have ended."""

    address: ClassVar[str] = "/ldm/synced"
    token: Token = 0


class Sync(Command, frozen=True):
    """Ask for a message when all jobs submitted so far have ended."""

    address: ClassVar[str] = "/ldm/sync"
    replies: ClassVar[tuple[type[Message], ...]] = (Synced,)
    token: Token = 0


class ErrorReply(Reply, frozen=True):
    """A message was refused; also sent, as for a failed job, to others with notices on.

    The sender of a job gets /ldm/job/fail instead.
    """

    address: ClassVar[str] = "/ldm/error"
    code: ErrorCode
    sentence: Sentence
    about: Annotated[
        str, Meta(description="the address that was called, or the job; empty where unknown")
    ] = ""
