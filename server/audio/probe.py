"""Decodes an uploaded clip in a separate process, so that a crash or a bomb stays there.

``python -m server.audio.probe FILE`` prints the clip's length, rate and format as JSON, or
an error.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from server.errors import UnreadableAudio
from server.json_errors import NOT_JSON

__all__ = ["ClipInfo", "decode_clip", "probe"]

_MAX_CPU_S: Final = 20
_MAX_MEMORY: Final = 2 * 2**30
_MAX_WALL_S: Final = 60.0
_BLOCK_FRAMES: Final = 65536


class ClipInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a clip that was decoded from beginning to end."""

    seconds: float
    sample_rate: int
    channels: int
    format: str


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    clip: ClipInfo | None = None
    error: str = ""


async def probe(path: Path) -> ClipInfo:
    """Decode ``path`` in a separate process and return what it holds.

    Raises:
        UnreadableAudio: not audio, damaged, too long or with too many channels.
    """
    # Imported here because the decoding process does not need it and starts faster without.
    import asyncio

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.audio.probe", str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_MAX_WALL_S):
            answer, _ = await process.communicate()
        found = msgspec.json.decode(answer, type=_Answer)
    except (TimeoutError, *NOT_JSON) as error:
        raise UnreadableAudio("the clip cannot be decoded within bounds") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if found.clip is None:
        raise UnreadableAudio(found.error)
    return found.clip


def decode_clip(path: Path) -> ClipInfo:
    """Decode ``path`` block by block in this process.

    Raises:
        UnreadableAudio: see :func:`probe`.
    """
    import numpy as np
    import soundfile

    from server.audio.unfinished import opened_sound
    from server.audio.waveform import check_bounds

    frames = 0
    try:
        with opened_sound(path) as f:
            rate, channels, kind = f.samplerate, f.channels, f.format
            # Check the header first: a false one can keep libsndfile busy for ever.
            check_bounds("the clip", f.frames, channels, rate)
            while len(block := f.read(_BLOCK_FRAMES, "float32", always_2d=True)):
                frames += len(block)
                check_bounds("the clip", frames, channels, rate)
                if not np.isfinite(block).all():
                    raise UnreadableAudio("the clip holds samples that are not numbers")
    except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
        raise UnreadableAudio(f"the clip cannot be read as audio: {error}") from error
    if not frames:
        raise UnreadableAudio("the clip is empty")
    return ClipInfo(seconds=frames / rate, sample_rate=rate, channels=channels, format=kind)


def _set_bounds() -> None:
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_S, _MAX_CPU_S))
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main() -> None:
    """Entry point of ``python -m server.audio.probe``."""
    _set_bounds()
    # Output of libraries must not end up in the answer.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        answer = _Answer(clip=decode_clip(Path(sys.argv[1])))
    except (UnreadableAudio, MemoryError) as error:
        message = str(error).replace(sys.argv[1], "the clip")
        answer = _Answer(error=message or "the clip needs too much memory")
    output.write(msgspec.json.encode(answer))
    output.close()


if __name__ == "__main__":
    main()
