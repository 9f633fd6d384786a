"""The commands that a renderer takes and the events that it gives.

To and from a worker process they travel as length-prefixed MessagePack.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import BinaryIO

import msgspec

from server.jobs.job import TakeInfo
from server.messages import LENGTH_BYTES, decoder, encode, framed, length_of, read_framed
from server.requests.resolved import AnyResolved

__all__ = [
    "Cancel",
    "Done",
    "Failed",
    "FromWorker",
    "Lost",
    "OnDevice",
    "Previewed",
    "Ready",
    "Render",
    "Step",
    "ToWorker",
    "read_command",
    "receive",
    "write_event",
]


class Render(msgspec.Struct, frozen=True, tag=True):
    """Render ``request``; its takes go to ``folder``, with names that begin with ``words``."""

    job_id: str
    request: AnyResolved
    folder: Path
    words: str
    live: bool
    """It goes before what is not, at every step."""
    preview: Path | None = None
    """Where previews are written; None where none are wanted."""


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Give the job up at its next denoising step."""

    job_id: str


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The model is loaded and has rendered once."""

    providers: tuple[str, ...]
    frames_a_call: int
    """Latent frames in a unet call beyond which this device gains nothing from joining."""
    replicas: int = 1
    """How many machines render at the same time."""
    step_s: float = 0.0
    """What a denoising step of ``step_of_s`` seconds of sound took; 0: not measured."""
    step_of_s: float = 0.0


class OnDevice(msgspec.Struct, frozen=True, tag=True):
    """These jobs have the device from now on: one of them is the cause if the renderer dies."""

    job_ids: tuple[str, ...]


class Step(msgspec.Struct, frozen=True, tag=True):
    """A denoising step of a job is done."""

    job_id: str
    done: int
    total: int


class Previewed(msgspec.Struct, frozen=True, tag=True):
    """A job's preview after ``step`` denoising steps is on disk."""

    job_id: str
    step: int


class Done(msgspec.Struct, frozen=True, tag=True):
    """All takes of a job are on disk."""

    job_id: str
    takes: tuple[TakeInfo, ...]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A job ended without takes; an empty ``job_id`` means the model could not be loaded."""

    job_id: str
    code: str
    message: str


class Lost(msgspec.Struct, frozen=True, tag=True):
    """The machine that rendered a job is gone; the renderer goes on with others."""

    job_id: str
    why: str


ToWorker = Render | Cancel
FromWorker = Ready | OnDevice | Step | Previewed | Done | Failed | Lost

_to_worker = decoder(ToWorker)
_from_worker = decoder(FromWorker)


def pack(message: ToWorker | FromWorker) -> bytes:
    """One message with its length in front."""
    return framed(encode(message))


async def receive(stream: asyncio.StreamReader) -> FromWorker:
    """The worker's next message.

    Raises:
        asyncio.IncompleteReadError: the worker is gone.
    """
    length = length_of(await stream.readexactly(LENGTH_BYTES))
    message: FromWorker = _from_worker.decode(await stream.readexactly(length))
    return message


def read_command(stream: BinaryIO) -> ToWorker | None:
    """The engine's next command; None when the engine is gone."""
    if (message := read_framed(stream)) is None:
        return None
    command: ToWorker = _to_worker.decode(message)
    return command


def write_event(stream: BinaryIO, event: FromWorker) -> None:
    """Send the engine an event."""
    stream.write(pack(event))
    stream.flush()
