"""Clips and sounds out of files that clients name, decoded in a process with limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.audio.clip import Clip
from server.audio.exact_samples import EXACT_DTYPES, ExactSamples
from server.audio.fence.child import Poll
from server.audio.fence.pool import DECODERS, Decoding
from server.audio.fence.wire import Answer, Ask, Facts
from server.audio.interruption import interruptible
from server.audio.waveform import Waveform, check_bounds
from server.errors import UnreadableAudio
from server.file_names import existing, path_of

__all__ = ["load_clip", "read_sound", "read_stereo"]

_STEREO: Final = 2


def load_clip(name: str, poll: Poll = interruptible) -> Clip:
    """Read the clip from the file ``name``.

    ``poll`` is called several times a second meanwhile; what it raises ends the reading.

    Raises:
        UnreadableAudio: see :meth:`Clip.read`; it takes too long or too much memory.
        InvalidRequest: it is a folder, or no name of a file.
        TooLarge: it has more than 4 GiB.
    """
    path = existing(path_of(name))
    ask = Ask(what="clip", path=str(path))
    with DECODERS.asking(path, ask, poll=poll) as (decoding, answer):
        return _clip(decoding, answer, path)


async def read_sound(path: Path) -> Waveform:
    """The sound in a file.

    Raises:
        AudioLDMError: see :func:`load_clip`.
    """
    return (await DECODERS.in_thread(load_clip, str(path))).waveform


async def read_stereo(path: Path, facts: Facts, max_rate: int) -> Waveform:
    """The sound in a file as two channels, at its own rate or at ``max_rate`` if that is less.

    Raises:
        AudioLDMError: see :func:`load_clip`.
    """
    return await DECODERS.in_thread(_stereo, path, facts, min(facts.sample_rate, max_rate))


def _stereo(path: Path, facts: Facts, rate: int) -> Waveform:
    ask = Ask(what="stream", path=str(path), sample_rate=rate)
    samples = np.empty((round(facts.seconds * rate) + rate, _STEREO), np.float32)
    frames = 0
    with DECODERS.asking(path, ask) as (decoding, _):
        while data := decoding.block():
            block = np.frombuffer(data, np.float32).reshape(-1, _STEREO)
            if frames + len(block) > len(samples):
                raise UnreadableAudio(f"{path} is longer than it says")
            samples[frames : frames + len(block)] = block
            frames += len(block)
    return Waveform(samples[:frames], rate)


def _clip(decoding: Decoding, answer: Answer, path: Path) -> Clip:
    facts = answer.facts
    if facts is None or answer.exact not in ("", *EXACT_DTYPES.values()):
        raise UnreadableAudio(f"{path} cannot be decoded within bounds")
    # The decoding process may be wrong about anything.
    check_bounds(str(path), facts.frames, facts.channels, facts.sample_rate)
    shape = (facts.frames, facts.channels)
    samples = _array(decoding, shape, np.dtype(np.float32))
    exact = _array(decoding, shape, np.dtype(answer.exact)) if answer.exact else None
    return Clip(
        Waveform(samples, facts.sample_rate, facts.speakers),
        answer.file_format,
        path,
        None if exact is None else ExactSamples(exact),
        answer.metadata,
        sha256=answer.sha256,
    ).checked()


def _array(decoding: Decoding, shape: tuple[int, int], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    array = np.empty(shape, dtype)
    if array.size:
        decoding.read_into(array.data.cast("B"))
    return array
