"""Reader of ``.safetensors``: a JSON header, then the tensors without gaps.

Source: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from server.checkpoints.tensors import StoredTensor, TensorFile
from server.errors import ModelError

__all__ = ["read_safetensors"]

_TYPES: Final = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
_LARGEST_HEADER: Final = 100_000_000
"""The limit of the format's own library."""
Size = Annotated[int, Meta(ge=0)]


class Entry(msgspec.Struct, frozen=True):
    """One tensor in the header."""

    dtype: str
    shape: tuple[Size, ...]
    data_offsets: tuple[Size, Size]


def read_safetensors(path: Path) -> TensorFile:
    """The tensors of ``path``.

    Raises:
        ModelError: it is no safetensors file, or it is truncated.
    """
    try:
        header, start = _header(path)
        entries = msgspec.json.decode(header, type=dict[str, Any])
        entries.pop("__metadata__", None)
        listed = msgspec.convert(entries, dict[str, Entry])
        tensors = {name: _tensor(path, start, entry) for name, entry in listed.items()}
    except (OSError, ValueError, KeyError, struct.error, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be read as safetensors: it is truncated or of another kind ({error})"
        ) from error
    end = max((tensor.offset + tensor.nbytes for tensor in tensors.values()), default=0)
    if end > path.stat().st_size:
        raise ModelError(f"{path} is truncated: its tensors end at byte {end}")
    return TensorFile(path, tensors)


def _header(path: Path) -> tuple[bytes, int]:
    with path.open("rb") as stream:
        (size,) = struct.unpack("<Q", stream.read(8))
        if size > _LARGEST_HEADER:
            raise ValueError(f"a header of {size} bytes")
        return stream.read(size), 8 + size


def _tensor(path: Path, start: int, entry: Entry) -> StoredTensor:
    begin, end = entry.data_offsets
    tensor = StoredTensor(path, start + begin, _TYPES[entry.dtype], entry.shape)
    if tensor.nbytes != end - begin:
        raise ValueError(f"a tensor of {entry.shape} in {end - begin} bytes")
    return tensor
