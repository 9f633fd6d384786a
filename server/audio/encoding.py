"""Samples as the numbers and bytes of a file. Nothing is clipped: what does not fit is refused.

WAV files are written here and not by libsndfile, which keeps no foreign chunks and knows no
channel masks. FLAC is encoded by libsndfile; its metadata blocks are replaced.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.audio.exact_samples import EXACT_DTYPES, ExactSamples
from server.audio.formats import FORMATS, FileFormat
from server.audio.metadata.carried import Metadata
from server.audio.metadata.flac import with_blocks
from server.audio.metadata.riff import Chunk, joined
from server.errors import InvalidRequest, TooLarge

__all__ = ["encoded", "stored"]

Samples = npt.NDArray[np.float32]

_BITS: Final = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_FLOAT_BITS: Final = {"FLOAT": 32, "DOUBLE": 64}
_GUID: Final = bytes.fromhex("000000001000800000aa00389b71")
"""The end of all subformats of WAVE_FORMAT_EXTENSIBLE; the format's tag comes before it."""
_EXTENSIBLE: Final = 0xFFFE
_LARGEST: Final = 2**32 - 2**20
_BLOCK_FRAMES: Final = 2**18


def encoded(
    samples: Samples,
    sample_rate: int,
    file_format: FileFormat,
    metadata: Metadata,
    *,
    recipe: str = "",
    exact: ExactSamples | None = None,
) -> bytes:
    """Encode ``samples`` [frames, channels] as an audio file.

    Args:
        samples: full scale is 1.
        sample_rate: in Hz.
        file_format: type of the file.
        metadata: what else is in the file.
        recipe: text for the comment.
        exact: A clip's own samples; they are written with all their bits where ``samples``
            still contain them.

    Raises:
        InvalidRequest: the format would clip the samples.
        TooLarge: the file would exceed 4 GiB.
    """
    container, subtype = FORMATS[file_format]
    blocks = _blocks(samples, file_format, exact if subtype in EXACT_DTYPES else None)
    size = samples.size * _bits(subtype) // 8
    header = _format_chunk(samples.shape[1], sample_rate, subtype, metadata.speakers)
    if container == "FLAC":
        flac = _flac(blocks, samples.shape[1], sample_rate, subtype)
        return with_blocks(flac, metadata.flac_blocks(recipe, header, size))
    facts = [Chunk(b"fact", struct.pack("<I", len(samples)))] if subtype in _FLOAT_BITS else []
    head = joined([Chunk(b"fmt ", header), *facts, *metadata.wave_chunks(recipe)])
    if size + len(head) > _LARGEST:
        raise TooLarge(f"the file would have {size / 2**30:.1f} GiB; WAV files end at 4 GiB")
    pad = b"\0" * (size & 1)
    whole = struct.pack("<4sI4s", b"RIFF", 12 + len(head) + size + len(pad), b"WAVE")
    data = (_as_bytes(numbers, subtype) for numbers in blocks)
    return b"".join([whole, head, struct.pack("<4sI", b"data", size), *data, pad])


def stored(samples: Samples, file_format: FileFormat) -> npt.NDArray[np.float64]:
    """The values of ``samples`` as ``file_format`` stores them, full scale 1."""
    bits = _BITS.get(FORMATS[file_format][1])
    if bits is None:
        return samples.astype(np.float64)
    return np.rint(samples.astype(np.float64) * 2.0 ** (bits - 1)) / 2.0 ** (bits - 1)


def _blocks(
    samples: Samples, file_format: FileFormat, exact: ExactSamples | None
) -> Iterator[npt.NDArray[Any]]:
    """The numbers of the file, a block of frames at a time, to save memory.

    Raises:
        InvalidRequest: the format would clip the samples.
    """
    subtype = FORMATS[file_format][1]
    peak = float(np.abs(samples).max(initial=0.0))
    if subtype in _BITS and peak > 1.0:
        raise InvalidRequest(
            f"the sound peaks at {20.0 * np.log10(peak):+.2f} dBFS, which {file_format} would "
            "clip; ask for wav32f"
        )
    return _numbered(samples, subtype, exact)


def _numbered(
    samples: Samples, subtype: str, exact: ExactSamples | None
) -> Iterator[npt.NDArray[Any]]:
    for start in range(0, len(samples), _BLOCK_FRAMES):
        block = samples[start : start + _BLOCK_FRAMES]
        numbers = _as_numbers(block, subtype)
        if exact is not None:
            exact.moved(-start).put_back(block, numbers)
        yield numbers


def _as_numbers(samples: Samples, subtype: str) -> npt.NDArray[Any]:
    """Floats, or integers in the upper bits of int32."""
    if subtype in _FLOAT_BITS:
        return samples.astype(np.float64 if subtype == "DOUBLE" else np.float32)
    bits = _BITS[subtype]
    levels = np.rint(samples.astype(np.float64) * 2.0 ** (bits - 1))
    # Full scale itself is one step above the largest number.
    np.minimum(levels, 2.0 ** (bits - 1) - 1.0, out=levels)
    return (levels * 2.0 ** (32 - bits)).astype(np.int32)


def _as_bytes(numbers: npt.NDArray[Any], subtype: str) -> bytes:
    """The samples of a WAV file, little-endian."""
    little = np.ascontiguousarray(numbers.astype(numbers.dtype.newbyteorder("<"), copy=False))
    if subtype == "PCM_U8":
        return ((numbers >> 24) + 128).astype(np.uint8).tobytes()
    width = _bits(subtype) // 8
    if width == little.itemsize:
        return little.tobytes()
    octets = little.view(np.uint8).reshape(-1, little.itemsize)
    return np.ascontiguousarray(octets[:, little.itemsize - width :]).tobytes()


def _format_chunk(channels: int, sample_rate: int, subtype: str, speakers: int) -> bytes:
    bits = _bits(subtype)
    tag, frame = (3 if subtype in _FLOAT_BITS else 1), channels * bits // 8
    extensible = channels > 2 or speakers != 0
    head = struct.pack(
        "<HHIIHH",
        _EXTENSIBLE if extensible else tag,
        channels,
        sample_rate,
        min(sample_rate * frame, 2**32 - 1),
        frame,
        bits,
    )
    if extensible:
        return head + struct.pack("<HHIH", 22, bits, speakers, tag) + _GUID
    return head if tag == 1 else head + struct.pack("<H", 0)


def _flac(
    blocks: Iterator[npt.NDArray[Any]], channels: int, sample_rate: int, subtype: str
) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", sample_rate, channels, subtype, format="FLAC") as f:
        for numbers in blocks:
            f.write(numbers)
    return buffer.getvalue()


def _bits(subtype: str) -> int:
    return _BITS.get(subtype) or _FLOAT_BITS[subtype]
