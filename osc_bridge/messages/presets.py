"""Messages about presets: list them, take over the values of one.

>>> PresetUse("deep kick").to_osc()
OscMessage('/ldm/preset/use', 'deep kick')
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.messages.message import Command, Message, Reply

__all__ = [
    "PresetEntry",
    "PresetList",
    "PresetListed",
    "PresetUse",
    "PresetUsed",
]

PresetName = Annotated[str, Meta(min_length=1, max_length=100, description="name of the preset")]
Kind = Annotated[str, Meta(description="kind of request: text, transfer, ...")]


class PresetEntry(Reply, frozen=True):
    """One preset."""

    address: ClassVar[str] = "/ldm/preset/entry"
    name: PresetName
    kind: Kind
    description_text: Annotated[str, Meta(description="what it is for")]
    tags: Annotated[str, Meta(description="tags, separated by commas")]


class PresetListed(Reply, frozen=True):
    """The end of the list of presets."""

    address: ClassVar[str] = "/ldm/preset/listed"
    num_presets: Annotated[int, Meta(ge=0, description="number of presets")]


class PresetList(Command, frozen=True):
    """Ask for all presets."""

    address: ClassVar[str] = "/ldm/preset/list"
    replies: ClassVar[tuple[type[Message], ...]] = (PresetEntry, PresetListed)


class PresetUsed(Reply, frozen=True):
    """The values of the preset are this client's settings now; /ldm/press/<kind> renders them."""

    address: ClassVar[str] = "/ldm/preset/used"
    name: PresetName
    kind: Kind


class PresetUse(Command, frozen=True):
    """Copy the values of a preset into this client's settings."""

    address: ClassVar[str] = "/ldm/preset/use"
    replies: ClassVar[tuple[type[Message], ...]] = (PresetUsed,)
    name: PresetName
