"""Messages about live sets and their pads.

>>> PadHit.from_osc([2, 0.5])
PadHit(pad='2', velocity=0.5)
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.messages.arguments import Count, Level, PadName, Words
from osc_bridge.messages.message import Command, Message, Reply


class PadState(Reply, frozen=True):
    """The state of a pad."""

    address: ClassVar[str] = "/ldm/pad/state"
    number: Annotated[Count, Meta(description="number of the pad, from 1")]
    name: Annotated[Words, Meta(description="name of the pad")]
    state: Annotated[str, Meta(description="empty, rendering, ready, queued, playing or failed")]
    takes: Annotated[Count, Meta(description="number of takes in memory")]
    refreshing: Annotated[bool, Meta(description="1 while new takes are rendered")]
    error: Annotated[Words, Meta(description="why the last render failed; empty where it did not")]
    source: Annotated[str, Meta(description="library, generated, or empty where there is no sound")]


class PadNotice(PadState, frozen=True):
    """The state of a pad changed."""

    address: ClassVar[str] = "/ldm/notify/pad"


class LiveLoaded(Reply, frozen=True):
    """A live set is loaded; its pads are being rendered."""

    address: ClassVar[str] = "/ldm/live/loaded"
    name: Annotated[Words, Meta(description="name of the live set")]
    num_pads: Annotated[Count, Meta(description="number of pads")]
    bpm: Annotated[float, Meta(description="tempo in beats per minute")]


class LiveListed(Reply, frozen=True):
    """The live sets that ship with the program."""

    address: ClassVar[str] = "/ldm/live/listed"
    names: Annotated[str, Meta(description="names, separated by commas")]


class LiveLoad(Command, frozen=True):
    """Load a live set by name, or from a YAML file."""

    address: ClassVar[str] = "/ldm/live/load"
    replies: ClassVar[tuple[type[Message], ...]] = (LiveLoaded,)
    name: Annotated[
        str, Meta(min_length=1, max_length=4000, description="name of a live set, or a YAML file")
    ]


class LiveList(Command, frozen=True):
    """Ask for the live sets that ship with the program."""

    address: ClassVar[str] = "/ldm/live/list"
    replies: ClassVar[tuple[type[Message], ...]] = (LiveListed,)


class PadList(Command, frozen=True):
    """Ask for the states of all pads."""

    address: ClassVar[str] = "/ldm/pad/list"
    replies: ClassVar[tuple[type[Message], ...]] = (PadState,)


class PadHit(Command, frozen=True):
    """Play the next take of a pad on its grid, or stop its loop."""

    address: ClassVar[str] = "/ldm/pad/hit"
    takes_time: ClassVar[bool] = True
    pad: PadName
    velocity: Annotated[
        float, Meta(ge=0.0, le=1.0, description="velocity, which sets the level")
    ] = 1.0


class PadPlay(Command, frozen=True):
    """Play the next take of a pad on its grid; a loop that plays starts again."""

    address: ClassVar[str] = "/ldm/pad/play"
    takes_time: ClassVar[bool] = True
    pad: PadName
    velocity: Annotated[
        float, Meta(ge=0.0, le=1.0, description="velocity, which sets the level")
    ] = 1.0


class PadStop(Command, frozen=True):
    """Stop a pad on its grid."""

    address: ClassVar[str] = "/ldm/pad/stop"
    takes_time: ClassVar[bool] = True
    pad: PadName


class PadGain(Command, frozen=True):
    """Set the level of a pad."""

    address: ClassVar[str] = "/ldm/pad/gain"
    pad: PadName
    gain_db: Level


class PadRefresh(Command, frozen=True):
    """Render new takes in the background; a loop changes to them on its next bar."""

    address: ClassVar[str] = "/ldm/pad/refresh"
    pad: PadName
    prompt: Annotated[
        str, Meta(max_length=2000, description="new prompt; empty keeps the current one")
    ] = ""
