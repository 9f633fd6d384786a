"""A sound file that a request names: its samples and its file type."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from server.audio.exact_samples import EXACT_DTYPES, ExactSamples
from server.audio.interruption import pieces
from server.audio.metadata.carried import NO_METADATA, Metadata
from server.audio.unfinished import opened_sound
from server.audio.waveform import FileFormat, Waveform
from server.errors import UnreadableAudio

__all__ = ["Clip", "ClipLoader"]

MIN_RATE: Final = 1000
MAX_RATE: Final = 768_000
LOUDEST: Final = 1e6
"""Largest sample (+120 dBFS): far above integers that were stored as floats by mistake."""
MAX_CHANNELS: Final = 8
"""Each channel is rendered separately, so that time and memory grow with the channels."""

_HELD_BY: Final[dict[str, FileFormat]] = {
    "PCM_U8": "wav8",
    "PCM_S8": "wav8",
    "PCM_16": "wav16",
    "PCM_24": "wav24",
    "PCM_32": "wav32",
    "DOUBLE": "wav64f",
}


@dataclass(frozen=True)
class Clip:
    """A decoded sound file. ``file_format`` is the type that stores its samples without loss."""

    waveform: Waveform
    file_format: FileFormat = "wav32f"
    source: Path | bytes = b""
    exact: ExactSamples | None = None
    """Its samples, where float32 cannot hold them."""
    metadata: Metadata = NO_METADATA
    """What else is in the file."""
    sha256: str = ""
    """Checksum of the file, as it was when the samples were read."""

    @classmethod
    def read(cls, source: Path | bytes) -> Clip:
        """Decode any format that libsndfile reads.

        Raises:
            UnreadableAudio: not audio, damaged, too long, too many channels, NaN or infinite.
        """
        waveform = Waveform.read(source)
        with opened_sound(source) as f:
            file_format, kind = _format_of(f), EXACT_DTYPES.get(f.subtype)
            exact = ExactSamples(f.read(dtype=kind, always_2d=True)) if kind else None
            metadata = Metadata.read(source, f)
        return cls(waveform, file_format, source, exact, metadata).checked()

    @property
    def digest(self) -> str:
        """SHA-256 of the file, or of the samples where there is no file."""
        if self.sha256:
            return self.sha256
        if isinstance(self.source, Path):
            with self.source.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        return hashlib.sha256(self.source or self.waveform.samples.tobytes()).hexdigest()

    def checked(self) -> Clip:
        """Return the clip if jobs can work on it.

        Raises:
            UnreadableAudio: no samples, NaN, far too loud, or an unsupported rate or number
                of channels.
        """
        name = str(self.source) if isinstance(self.source, Path) else "the clip"
        sound = self.waveform
        if not sound.frames:
            raise UnreadableAudio(f"{name} holds no samples")
        if not MIN_RATE <= sound.sample_rate <= MAX_RATE:
            raise UnreadableAudio(
                f"{name} has a sample rate of {sound.sample_rate} Hz; "
                f"{MIN_RATE} to {MAX_RATE} Hz are supported"
            )
        if sound.channels > MAX_CHANNELS:
            raise UnreadableAudio(
                f"{name} has {sound.channels} channels; at most {MAX_CHANNELS} are supported"
            )
        if not all(np.isfinite(part).all() for part in pieces(sound.samples)):
            raise UnreadableAudio(f"{name} holds samples that are not numbers (NaN or infinite)")
        if sound.peak > LOUDEST:
            raise UnreadableAudio(
                f"{name} has samples up to {sound.peak:.3g}, where full scale is 1; "
                f"at most {LOUDEST:g} are read, so turn it down"
            )
        return self


ClipLoader = Callable[[str], Clip]
"""Returns the clip that a request names. A service checks the path first."""


def _format_of(file: Any) -> FileFormat:
    if file.format == "FLAC":
        return "flac" if file.subtype == "PCM_24" else "flac16"
    return _HELD_BY.get(file.subtype, "wav32f")
