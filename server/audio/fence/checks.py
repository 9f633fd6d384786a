"""What a sound file claims and what it holds, block by block; called in a decoding process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from server.audio.fence.wire import Facts
from server.audio.unfinished import opened_sound
from server.audio.waveform import check_bounds
from server.errors import UnreadableAudio

__all__ = ["checked_file", "decode_clip", "facts_of"]

_BLOCK_FRAMES: Final = 65536


@contextmanager
def checked_file(path: Path) -> Iterator[Any]:
    """The open sound file, whose header is within bounds.

    Raises:
        UnreadableAudio: not audio, damaged, too long or with too many channels.
    """
    import soundfile

    try:
        with opened_sound(path) as file:
            # Check the header first: a false one can keep libsndfile busy for ever.
            check_bounds("the clip", file.frames, file.channels, file.samplerate)
            yield file
    except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
        raise UnreadableAudio(f"the clip cannot be read as audio: {error}") from error


def facts_of(file: Any, frames: int | None = None) -> Facts:
    """What is known of an open sound file, which has ``frames`` where they were counted."""
    return Facts(
        frames=file.frames if frames is None else frames,
        sample_rate=file.samplerate,
        channels=file.channels,
        format=file.format,
        sample_bytes=8 if file.subtype == "DOUBLE" else 4,
    )


def decode_clip(path: Path) -> Facts:
    """Decode ``path`` from beginning to end.

    Raises:
        UnreadableAudio: as :func:`checked_file`; NaN or infinite samples, or none.
    """
    frames = 0
    with checked_file(path) as file:
        while len(block := file.read(_BLOCK_FRAMES, "float32", always_2d=True)):
            frames += len(block)
            check_bounds("the clip", frames, file.channels, file.samplerate)
            if not np.isfinite(block).all():
                raise UnreadableAudio("the clip holds samples that are not numbers")
        if not frames:
            raise UnreadableAudio("the clip is empty")
        return facts_of(file, frames)
