"""Messages that play the sample library: its map, and its sounds on pads.

>>> PadSounds.from_osc(["kick", 17, 23, "captures/hiss.wav"]).sounds
(17, 23, 'captures/hiss.wav')
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from msgspec import Meta

from osc_bridge.choices import Quantise
from osc_bridge.messages.arguments import Axis, Count, Frame, Level, PadName, Path, Voice
from osc_bridge.messages.message import Command, Message, Reply
from osc_bridge.messages.stage.pads import PadState
from osc_bridge.wire.codec import Argument, OscMessage
from server.errors import InvalidRequest

__all__ = ["MapPlaying", "MapX", "MapXY", "MapY", "PadSounds"]

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


class PadSounds(Command, frozen=True):
    """Give a pad sounds of the library or files; each hit plays the next one."""

    address: ClassVar[str] = "/ldm/pad/sounds"
    replies: ClassVar[tuple[type[Message], ...]] = (PadState,)
    pad: PadName
    sounds: Annotated[
        tuple[int | Annotated[str, Meta(max_length=4000)], ...],
        Meta(
            min_length=1,
            max_length=64,
            description="numbers of sounds of the library or paths of files, one after the other",
        ),
    ]

    @classmethod
    def usage(cls) -> str:
        """The names of the arguments."""
        return "pad sound..."

    @classmethod
    def from_osc(cls, arguments: Sequence[Argument]) -> Self:
        """Parse the arguments: those after the pad are sounds; floats are accepted as numbers.

        Raises:
            InvalidRequest: there are too few or too many, or one is neither.
        """
        sounds = [int(a) if isinstance(a, float) and a.is_integer() else a for a in arguments[1:]]
        for odd in (sound for sound in sounds if not isinstance(sound, int | str)):
            raise InvalidRequest(
                f"{cls.address}: {odd!r} is neither the number of a sound of the library "
                "(/ldm/library/find tells it) nor the path of a file"
            )
        return super().from_osc([*arguments[:1], *([sounds] if sounds else [])])

    def to_osc(self) -> OscMessage:
        """The message with one argument for each sound."""
        return OscMessage(self.address, [self.pad, *self.sounds])
