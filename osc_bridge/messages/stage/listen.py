"""Messages of the listening companion.

>>> ListenStart.from_osc(["bed", 12]).depth_db
12.0
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.messages.arguments import Words
from osc_bridge.messages.message import Command, Message, Reply

Decibels = Annotated[float, Meta(extra={"unit": "dB"})]


class ListenState(Reply, frozen=True):
    """What the listening companion hears, and which bands its target leaves."""

    address: ClassVar[str] = "/ldm/listen/state"
    state: Annotated[
        str, Meta(description="off, waiting (for six seconds of input), silence or listening")
    ]
    target: Annotated[str, Meta(description="what makes room: stream, or a pad")]
    level_db: Annotated[Decibels, Meta(description="level of the input, RMS")]
    density: Annotated[float, Meta(description="onsets a second")]
    bpm: Annotated[float, Meta(description="its tempo; 0: no beat")]
    bands: Annotated[
        str, Meta(description="bands that the target leaves, in Hz: 178-355, 2239-4467")
    ]
    ceiling_db: Annotated[Decibels, Meta(description="highest peak of the target")]
    error: Annotated[Words, Meta(description="why it could not make room; empty where it could")]


class ListenNotice(ListenState, frozen=True):
    """What the listening companion hears has changed."""

    address: ClassVar[str] = "/ldm/notify/listen"


class ListenStart(Command, frozen=True):
    """Listen to the input: the stream or a pad leaves its bands and follows its tempo."""

    address: ClassVar[str] = "/ldm/listen/start"
    replies: ClassVar[tuple[type[Message], ...]] = (ListenState,)
    target: Annotated[
        str,
        Meta(min_length=1, max_length=60, description="stream, or number or name of a pad"),
    ] = "stream"
    depth_db: Annotated[
        float,
        Meta(ge=0.0, le=60.0, description="attenuation of the bands", extra={"unit": "dB"}),
    ] = 18.0
    ceiling_db: Annotated[
        float,
        Meta(
            ge=-60.0,
            le=0.0,
            description="highest peak of the target, before the master level",
            extra={"unit": "dB"},
        ),
    ] = -12.0
    follow_tempo: Annotated[bool, Meta(description="1: the tempo follows that of the input")] = True


class ListenStop(Command, frozen=True):
    """Stop listening; the target plays as it was rendered, and the tempo stays."""

    address: ClassVar[str] = "/ldm/listen/stop"
    replies: ClassVar[tuple[type[Message], ...]] = (ListenState,)


class ListenStatus(Command, frozen=True):
    """Ask what the listening companion hears."""

    address: ClassVar[str] = "/ldm/listen/status"
    replies: ClassVar[tuple[type[Message], ...]] = (ListenState,)
