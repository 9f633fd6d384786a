"""The decoding process: decodes one file after the other, each within limits.

It is started as ``python -m server.audio.fence.process``. A file that crashes it, keeps it busy or
fills its memory costs whoever asked an error, and nobody else anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import soundfile

from server.audio.clip import Clip
from server.audio.fence.checks import checked_file, decode_clip, facts_of
from server.audio.fence.inside import confine, parents_socket
from server.audio.fence.regular import open_regular, under_its_descriptor
from server.audio.fence.wire import Answer, Ask, Facts, receive_ask, send_part
from server.audio.formats import FileFormat
from server.audio.metadata.carried import Metadata
from server.audio.waveform import Waveform, check_bounds
from server.errors import AudioLDMError, UnreadableAudio

__all__ = ["MAX_CPU_S", "MAX_MEMORY", "main"]

MAX_CPU_S: Final = 20
"""For one file; a stream has a second more for each minute of sound."""
MAX_MEMORY: Final = 4 * 2**30
_BLOCK_FRAMES: Final = 16384
_STEREO: Final = 2

Part = Answer | Any
"""An answer, or an array or bytes that follow it."""


def answered(ask: Ask, descriptor: int) -> Iterator[Part]:
    """The parts of the answer to ``ask`` about an open file.

    Raises:
        AudioLDMError: the file cannot be used.
    """
    with under_its_descriptor(Path(ask.path), descriptor, ask.shown) as path:
        match ask.what:
            case "facts":
                yield Answer(facts=_facts(path))
            case "check":
                yield Answer(facts=decode_clip(path))
            case "clip":
                yield from _clip(path, descriptor)
            case "convert":
                yield from _converted(path, ask.file_format)
            case "stream":
                yield from _stream(path, ask.sample_rate)


def _facts(path: Path) -> Facts:
    with checked_file(path) as file:
        return msgspec.structs.replace(facts_of(file), recipe=Metadata.read(path, file).recipe)


def _clip(path: Path, descriptor: int) -> Iterator[Part]:
    clip = Clip.read(path)
    arrays = [clip.waveform.samples, *([clip.exact.samples] if clip.exact else [])]
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb", closefd=False) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    sound = clip.waveform
    yield Answer(
        facts=Facts(
            frames=sound.frames,
            sample_rate=sound.sample_rate,
            channels=sound.channels,
            format="",
            sample_bytes=4,
            speakers=sound.speakers,
        ),
        file_format=clip.file_format,
        metadata=clip.metadata,
        exact=clip.exact.samples.dtype.name if clip.exact else "",
        sha256=sha256,
        sizes=tuple(array.nbytes for array in arrays),
    )
    yield from map(np.ascontiguousarray, arrays)


def _converted(path: Path, file_format: FileFormat) -> Iterator[Part]:
    clip = Clip.read(path)
    held = clip.metadata
    data = clip.waveform.encode(file_format, held.recipe, clip.exact, held)
    yield Answer(sizes=(len(data),))
    yield data


def _stream(path: Path, sample_rate: int) -> Iterator[Part]:
    """The facts, then blocks of float32 [frames, 2] at ``sample_rate``."""
    import soxr

    with checked_file(path) as file:
        rate, frames = file.samplerate, file.frames
        _limit_cpu(MAX_CPU_S + frames / rate / 60.0)
        yield Answer(facts=facts_of(file))
        resampled = soxr.ResampleStream(rate, sample_rate, _STEREO, dtype="float32", quality="VHQ")
        read = 0
        while len(block := file.read(_BLOCK_FRAMES, "float32", always_2d=True)):
            read += len(block)
            check_bounds("the sound", read, file.channels, rate)
            sound = Waveform(np.nan_to_num(block, posinf=0.0, neginf=0.0), rate)
            yield from _blocks(resampled.resample_chunk(sound.as_channels(_STEREO).samples))
        yield from _blocks(resampled.resample_chunk(np.zeros((0, _STEREO), np.float32), last=True))
    yield b""


def _blocks(samples: Any) -> Iterator[Any]:
    if len(samples):
        yield np.ascontiguousarray(samples, np.float32)


def _limit_cpu(seconds: float) -> None:
    """From now on; what was spent on earlier files does not count."""
    with contextlib.suppress(ImportError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        end = math.ceil(used.ru_utime + used.ru_stime + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))


def _answer(connection: socket.socket, ask: Ask, descriptor: int) -> None:
    _limit_cpu(MAX_CPU_S)
    try:
        for part in answered(ask, descriptor):
            if isinstance(part, Answer) or ask.what == "stream":
                send_part(connection, part)
            else:
                connection.sendall(memoryview(part).cast("B"))
    except AudioLDMError as error:
        send_part(connection, Answer(code=error.code, error=str(error)))
    except MemoryError:
        said = f"{ask.shown} needs too much memory"
        send_part(connection, Answer(code=UnreadableAudio.code, error=said))


def main() -> None:
    """Answer until nobody asks any more."""
    connection = parents_socket()
    soundfile.available_formats()  # loaded before the memory is limited
    confine("RLIMIT_AS", MAX_MEMORY)
    while (received := receive_ask(connection)) is not None:
        ask, descriptor = received
        if descriptor is not None:
            try:
                _answer(connection, ask, descriptor)
            finally:
                os.close(descriptor)
            continue
        with open_regular(Path(ask.path)) as opened:
            _answer(connection, ask, opened)


if __name__ == "__main__":
    main()
