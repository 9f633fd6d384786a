"""Messages that play the map of the sample library, for clients on this machine."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.choices import Quantise
from osc_bridge.messages.arguments import Axis, Count, Frame, Level, Path, Voice
from osc_bridge.messages.message import Command, Message, Reply

__all__ = ["MapPlaying", "MapX", "MapXY", "MapY"]

X = Annotated[Axis, Meta(description="0: left, 1: right")]
Y = Annotated[Axis, Meta(description="0: bottom, 1: top")]


class MapPlaying(Reply, frozen=True):
    """The sound of the library that a place of the map plays."""

    address: ClassVar[str] = "/ldm/map/playing"
    id: Annotated[Count, Meta(description="its number in the library")]
    path: Path
    voice: Voice
    frame: Frame


class MapXY(Command, frozen=True):
    """Play the sound that is nearest to a place of the map; another one than before."""

    address: ClassVar[str] = "/ldm/map/xy"
    replies: ClassVar[tuple[type[Message], ...]] = (MapPlaying,)
    x: X
    y: Y
    gain_db: Level = 0.0
    quantise: Annotated[Quantise, Meta(description="grid on which it starts")] = "none"
    again: Annotated[bool, Meta(description="1: also the sound that was played last")] = False


class MapX(Command, frozen=True):
    """Move to the left or right on the map, as /ldm/map/xy does."""

    address: ClassVar[str] = "/ldm/map/x"
    replies: ClassVar[tuple[type[Message], ...]] = (MapPlaying,)
    x: X


class MapY(Command, frozen=True):
    """Move down or up on the map, as /ldm/map/xy does."""

    address: ClassVar[str] = "/ldm/map/y"
    replies: ClassVar[tuple[type[Message], ...]] = (MapPlaying,)
    y: Y
