"""What is said about MIDI inputs."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.choices import MidiApi
from osc_bridge.messages.arguments import Words
from osc_bridge.messages.message import Command, Message, Reply


class MidiListed(Reply, frozen=True):
    """MIDI inputs, and the one that is open."""

    address: ClassVar[str] = "/ldm/midi/listed"
    names: Annotated[str, Meta(description="one a line")]
    opened: Words


class MidiList(Command, frozen=True):
    """Ask which MIDI inputs there are."""

    address: ClassVar[str] = "/ldm/midi/list"
    replies: ClassVar[tuple[type[Message], ...]] = (MidiListed,)
    api: MidiApi = ""


class MidiOpen(Command, frozen=True):
    """Listen to a MIDI input; without name, to a port of our own that others connect to."""

    address: ClassVar[str] = "/ldm/midi/open"
    replies: ClassVar[tuple[type[Message], ...]] = (MidiListed,)
    port: Annotated[str, Meta(max_length=200)] = ""
    api: MidiApi = ""


class MidiClose(Command, frozen=True):
    """Listen to MIDI no more."""

    address: ClassVar[str] = "/ldm/midi/close"


class MidiBind(Command, frozen=True):
    """Let a note or controller send a message to us; $value stands for its value, $note for it."""

    address: ClassVar[str] = "/ldm/midi/bind"
    control: Annotated[str, Meta(pattern="^(note|control)$", description="note or control")]
    number: Annotated[int, Meta(ge=0, le=127)]
    target: Annotated[str, Meta(pattern="^/ldm/", max_length=200, description="an address")]
    arguments_text: Annotated[
        str, Meta(max_length=1000, description="separated by spaces, as in: bed $value")
    ] = "$value"
    low: Annotated[float, Meta(description="value at 0")] = 0.0
    high: Annotated[float, Meta(description="value at 127")] = 1.0
