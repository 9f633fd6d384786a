"""What is said about presets: list them, take one's values over into a client's settings.

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

PresetName = Annotated[str, Meta(min_length=1, max_length=100, description="the preset's name")]
Kind = Annotated[str, Meta(description="which request it is: text, transfer, ...")]


class PresetEntry(Reply, frozen=True):
    """One preset."""

    address: ClassVar[str] = "/ldm/preset/entry"
    name: PresetName
    kind: Kind
    description_text: Annotated[str, Meta(description="what it is for")]
    tags: Annotated[str, Meta(description="words to find it by, separated by commas")]


class PresetListed(Reply, frozen=True):
    """End of the list of presets."""

    address: ClassVar[str] = "/ldm/preset/listed"
    num_presets: Annotated[int, Meta(ge=0)]


class PresetList(Command, frozen=True):
    """Ask for all presets."""

    address: ClassVar[str] = "/ldm/preset/list"
    replies: ClassVar[tuple[type[Message], ...]] = (PresetEntry, PresetListed)


class PresetUsed(Reply, frozen=True):
    """The preset's values are this client's settings now; /ldm/press/<kind> renders."""

    address: ClassVar[str] = "/ldm/preset/used"
    name: PresetName
    kind: Kind


class PresetUse(Command, frozen=True):
    """Take a preset's values over into this client's settings."""

    address: ClassVar[str] = "/ldm/preset/use"
    replies: ClassVar[tuple[type[Message], ...]] = (PresetUsed,)
    name: PresetName
