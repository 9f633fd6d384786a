"""Messages about MIDI inputs."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.choices import MidiApi
from osc_bridge.messages.arguments import Words
from osc_bridge.messages.message import Command, Message, Reply


class MidiListed(Reply, frozen=True):
    """The MIDI inputs, and the one that is open."""

    address: ClassVar[str] = "/ldm/midi/listed"
    names: Annotated[str, Meta(description="names of the inputs, one per line")]
    opened: Annotated[Words, Meta(description="the open input; empty where none is")]


class MidiList(Command, frozen=True):
    """Ask for the MIDI inputs."""

    address: ClassVar[str] = "/ldm/midi/list"
    replies: ClassVar[tuple[type[Message], ...]] = (MidiListed,)
    api: Annotated[MidiApi, Meta(description="MIDI API; empty for all")] = ""


class MidiOpen(Command, frozen=True):
    """Listen to a MIDI input; without a name, to a virtual port that other programs connect to."""

    address: ClassVar[str] = "/ldm/midi/open"
    replies: ClassVar[tuple[type[Message], ...]] = (MidiListed,)
    port: Annotated[str, Meta(max_length=200, description="name of the input, or part of it")] = ""
    api: Annotated[MidiApi, Meta(description="MIDI API; empty for the one with the port")] = ""


class MidiClose(Command, frozen=True):
    """Close the MIDI input."""

    address: ClassVar[str] = "/ldm/midi/close"


class MidiBind(Command, frozen=True):
    """Let a note or a controller send an OSC message to this program."""

    address: ClassVar[str] = "/ldm/midi/bind"
    control: Annotated[str, Meta(pattern="^(note|control)$", description="note or control")]
    number: Annotated[int, Meta(ge=0, le=127, description="number of the note or controller")]
    target: Annotated[
        str, Meta(pattern="^/ldm/", max_length=200, description="the address to send to")
    ]
    arguments_text: Annotated[
        str,
        Meta(
            max_length=1000,
            description="arguments, separated by spaces; $value and $note are replaced",
        ),
    ] = "$value"
    low: Annotated[float, Meta(description="$value at MIDI value 0")] = 0.0
    high: Annotated[float, Meta(description="$value at MIDI value 127")] = 1.0
