"""One pad and what it holds: its takes, and the voices that play them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from osc_bridge.audio.clips import LoadedClip
from osc_bridge.stage.liveset import Pad
from server.errors import NotFound
from server.requests.name_match import matching

__all__ = ["PadReport", "PadStatus", "PadVoice", "Slot", "slot_named"]

PadStatus = Literal["empty", "rendering", "ready", "queued", "playing", "failed"]
_OWN_GROUP: Final = 1000
"""A loop without a choke group silences itself: group 1000 + its number."""


class PadReport(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a pad."""

    number: int
    """From 1."""
    name: str
    state: PadStatus
    takes: int = 0
    refreshing: bool = False
    error: str = ""
    source: Literal["", "library", "generated"] = ""
    """Where the sounds of the pad come from; empty where it has none."""


@dataclass
class PadVoice:
    """A voice that plays or is scheduled."""

    level_db: float
    begun: bool = False


class Slot:
    """A pad of the loaded set."""

    def __init__(self, number: int, pad: Pad) -> None:
        self.number = number
        self.pad = pad
        self.gain_db = pad.gain_db
        self.clips: list[LoadedClip] = []
        self.take = -1
        """Index of the take that was started last."""
        self.level_db = 0.0
        """Level of the last hit, from its velocity."""
        self.voices: dict[int, PadVoice] = {}
        self.stopping: set[int] = set()
        """Voices that have been asked to stop."""
        self.render: asyncio.Task[None] | None = None
        self.error = ""
        self.retrieved = False
        """The pad holds a sound of the library; its takes are being rendered."""

    @property
    def loops(self) -> bool:
        """True where the pad repeats until it is stopped."""
        return self.pad.mode == "loop"

    @property
    def stays(self) -> bool:
        """True where a voice plays or is scheduled that has not been asked to stop."""
        return bool(self.voices.keys() - self.stopping)

    @property
    def clip(self) -> LoadedClip:
        """The take that was started last."""
        return self.clips[self.take % len(self.clips)]

    @property
    def group(self) -> int:
        """The choke group; 0 for none."""
        return self.pad.choke or (_OWN_GROUP + self.number if self.loops else 0)

    @property
    def state(self) -> PadStatus:
        """What the pad does now."""
        if self.voices:
            begun = any(voice.begun for voice in self.voices.values())
            return "playing" if begun else "queued"
        if self.clips:
            return "ready"
        if self.render:
            return "rendering"
        return "failed" if self.error else "empty"

    def report(self) -> PadReport:
        """The state of the pad, as it is reported to clients."""
        return PadReport(
            number=self.number, name=self.pad.name, state=self.state, takes=len(self.clips),
            refreshing=self.render is not None and bool(self.clips), error=self.error,
            source=("library" if self.retrieved else "generated") if self.clips else "",
        )  # fmt: skip


def slot_named(slots: Mapping[int, Slot], pad: int | str) -> Slot:
    """The slot of a pad's number, or of its name in any spelling.

    Raises:
        NotFound: no such pad.
    """
    if isinstance(pad, int) and pad in slots:
        return slots[pad]
    if not slots:
        raise NotFound(f"pad {pad!r}: no live set is loaded; /ldm/live/load loads one")
    named = {slot.pad.name: slot for slot in slots.values()}
    try:
        return named[matching(str(pad), named, "pad")]
    except NotFound:
        there = f"there are pads 1 to {len(slots)}: {', '.join(named)}"
        raise NotFound(f"pad {pad!r}: {there}") from None
