"""One pad with what it holds: its takes, and the voices that play them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from osc_bridge.audio.clips import LoadedClip
from osc_bridge.stage.liveset import Pad

__all__ = ["PadReport", "PadState", "PadVoice", "Slot"]

PadState = Literal["empty", "rendering", "ready", "queued", "playing", "failed"]
_OWN_GROUP: Final = 1000
"""A loop without a choke group silences itself: group 1000 + its number."""


class PadReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where a pad stands."""

    number: int
    """From 1."""
    name: str
    state: PadState
    takes: int = 0
    refreshing: bool = False
    error: str = ""


@dataclass
class PadVoice:
    """What sounds or waits."""

    level_db: float
    begun: bool = False


class Slot:
    """A pad with what it holds."""

    def __init__(self, number: int, pad: Pad) -> None:
        self.number = number
        self.pad = pad
        self.gain_db = pad.gain_db
        self.clips: list[LoadedClip] = []
        self.take = -1
        """The one that was started last."""
        self.level_db = 0.0
        """How hard the pad was hit last."""
        self.voices: dict[int, PadVoice] = {}
        self.leaving: set[int] = set()
        """Those that have been told to stop."""
        self.render: asyncio.Task[None] | None = None
        self.error = ""

    @property
    def loops(self) -> bool:
        return self.pad.mode == "loop"

    @property
    def sounds(self) -> bool:
        return any(voice.begun for voice in self.voices.values())

    @property
    def stays(self) -> bool:
        """Something sounds or waits and has not been told to stop."""
        return bool(self.voices.keys() - self.leaving)

    @property
    def clip(self) -> LoadedClip:
        """The take that was started last."""
        return self.clips[self.take % len(self.clips)]

    @property
    def group(self) -> int:
        return self.pad.choke or (_OWN_GROUP + self.number if self.loops else 0)

    @property
    def state(self) -> PadState:
        if self.voices:
            return "playing" if self.sounds else "queued"
        if self.clips:
            return "ready"
        if self.render:
            return "rendering"
        return "failed" if self.error else "empty"

    def report(self) -> PadReport:
        """Where the pad stands."""
        return PadReport(
            number=self.number, name=self.pad.name, state=self.state, takes=len(self.clips),
            refreshing=self.render is not None and bool(self.clips), error=self.error,
        )  # fmt: skip
