"""What clients see of a sound of the library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from server.note_names import nearest_note
from server.sample_library.layout import Layout
from server.sample_library.sample import Character, Sample

__all__ = ["LibraryMap", "LibrarySound", "map_view", "shown_path", "sound_view"]

_MAP_STEPS: Final = 4095.0


class LibrarySound(msgspec.Struct, frozen=True, kw_only=True):
    """A sound of the library."""

    id: int
    path: str
    name: str
    seconds: float
    sample_rate: int
    channels: int
    character: Character
    bpm: float | None = None
    note: str = ""
    """Such as ``A4``; empty where it is not a single note."""
    cents: float | None = None
    """How far it is from that note."""
    lufs: float | None = None
    peaks: bytes = b""
    """The largest sample in each of 96 parts, from 0 to 255, as base64."""
    similarity: float | None = None


def sound_view(sample: Sample, similarity: float | None) -> LibrarySound:
    """What clients see of a sound."""
    about = sample.about
    name, cents = ("", None) if about.note is None else nearest_note(about.note)
    return LibrarySound(
        id=sample.row,
        path=shown_path(sample.path),
        name=shown_path(Path(sample.path.name)),
        seconds=round(about.seconds, 3),
        sample_rate=about.sample_rate,
        channels=about.channels,
        character=about.character,
        bpm=about.bpm,
        note=name,
        cents=None if cents is None else round(cents, 1),
        lufs=None if about.lufs is None else round(about.lufs, 1),
        peaks=about.peaks,
        similarity=None if similarity is None else round(similarity, 4),
    )


class LibraryMap(msgspec.Struct, frozen=True):
    """Where the sounds are, and how they are coloured: numbers from 0 to 4095, in one order."""

    ids: list[int]
    x: list[int]
    y: list[int]
    colour: list[int]


def map_view(layout: Layout) -> LibraryMap:
    """What clients see of the map."""
    places = np.round(_MAP_STEPS * layout.places).astype(np.int32).T
    return LibraryMap(layout.rows.tolist(), *(axis.tolist() for axis in places))


def shown_path(path: Path) -> str:
    """A path as text; bytes that are none are shown as replacement characters."""
    return os.fsencode(path).decode("utf-8", "replace")
