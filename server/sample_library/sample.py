"""What is known of a sound in the library."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

__all__ = ["Character", "Description", "Sample"]

Character = Literal["", "one-shot", "loop"]
"""Empty: neither."""


class Description(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What listening to a file told."""

    digest: bytes
    """BLAKE2b of the file's content, 16 bytes."""
    seconds: float
    sample_rate: int
    channels: int
    bpm: float | None = None
    note: float | None = None
    """As a MIDI number: 60.5 is half a semitone above C4."""
    lufs: float | None = None
    """Integrated loudness; None for silence."""
    character: Character = ""
    peaks: bytes = b""
    """The largest sample in each part of its beginning, from 0 to 255; for drawing it."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the library."""

    row: int
    """Of the matrix of embeddings; its id."""
    folder: int
    path: Path
    size: int
    mtime_ns: int
    about: Description
