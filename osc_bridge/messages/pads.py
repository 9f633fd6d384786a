"""What is said about live sets and their pads, which are named by number (from 1) or name.

>>> PadHit.from_osc([2, 0.5])
PadHit(pad='2', velocity=0.5)
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.messages.arguments import Count, Level, PadName, Words
from osc_bridge.messages.message import Command, Message, Reply


class PadState(Reply, frozen=True):
    """Where a pad stands."""

    address: ClassVar[str] = "/ldm/pad/state"
    number: Count
    name: Words
    state: Annotated[str, Meta(description="empty, rendering, ready, queued, playing or failed")]
    takes: Count
    refreshing: bool
    error: Words


class PadNotice(PadState, frozen=True):
    """A pad changed."""

    address: ClassVar[str] = "/ldm/notify/pad"


class LiveLoaded(Reply, frozen=True):
    """A live set is loaded; its pads are being rendered."""

    address: ClassVar[str] = "/ldm/live/loaded"
    name: Words
    num_pads: Count
    bpm: float


class LiveListed(Reply, frozen=True):
    """The live sets that ship with the program."""

    address: ClassVar[str] = "/ldm/live/listed"
    names: Annotated[str, Meta(description="separated by commas")]


class LiveLoad(Command, frozen=True):
    """Load a live set by name, or from a YAML file."""

    address: ClassVar[str] = "/ldm/live/load"
    replies: ClassVar[tuple[type[Message], ...]] = (LiveLoaded,)
    name: Annotated[str, Meta(min_length=1, max_length=4000)]


class LiveList(Command, frozen=True):
    """Ask for the live sets."""

    address: ClassVar[str] = "/ldm/live/list"
    replies: ClassVar[tuple[type[Message], ...]] = (LiveListed,)


class PadList(Command, frozen=True):
    """Ask for the state of all pads."""

    address: ClassVar[str] = "/ldm/pad/list"
    replies: ClassVar[tuple[type[Message], ...]] = (PadState,)


class PadHit(Command, frozen=True):
    """Play a pad's next take on its grid; a loop that plays stops."""

    address: ClassVar[str] = "/ldm/pad/hit"
    takes_time: ClassVar[bool] = True
    pad: PadName
    velocity: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0


class PadPlay(Command, frozen=True):
    """Play a pad's next take on its grid; a loop that plays begins again."""

    address: ClassVar[str] = "/ldm/pad/play"
    takes_time: ClassVar[bool] = True
    pad: PadName
    velocity: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0


class PadStop(Command, frozen=True):
    """Stop a pad on its grid."""

    address: ClassVar[str] = "/ldm/pad/stop"
    takes_time: ClassVar[bool] = True
    pad: PadName


class PadGain(Command, frozen=True):
    """Level of a pad."""

    address: ClassVar[str] = "/ldm/pad/gain"
    pad: PadName
    gain_db: Level


class PadRefresh(Command, frozen=True):
    """Render new takes behind; a loop that plays changes over on its next bar."""

    address: ClassVar[str] = "/ldm/pad/refresh"
    pad: PadName
    prompt: Annotated[str, Meta(max_length=2000, description="empty: the same again")] = ""
