"""Tensors where they lie in a checkpoint file: offset, type and shape, without reading them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from server.errors import ModelError

__all__ = ["ITEM_BYTES", "StoredTensor", "TensorFile", "Tensors"]

ITEM_BYTES: Final = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
"""Bytes of an element, for every type that is read."""


class Tensors(Protocol):
    """Tensors by name, of which the shapes are asked: a :class:`TensorFile`, or torch's."""

    @property
    def path(self) -> Path: ...

    def __getitem__(self, name: str) -> Any: ...

    def __contains__(self, name: str) -> bool: ...

    def walk(self, pattern: str, start: int = 0, step: int = 1) -> Iterator[Any]: ...


@dataclass(frozen=True)
class StoredTensor:
    """A contiguous little-endian tensor in ``path``."""

    path: Path
    offset: int
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in the file."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]

    def rows(self, part: int, parts: int) -> StoredTensor:
        """The ``part``-th of ``parts`` equal groups of rows."""
        shape = (self.shape[0] // parts, *self.shape[1:])
        group = replace(self, shape=shape)
        return replace(group, offset=self.offset + part * group.nbytes)

    def read(self) -> npt.NDArray[Any]:
        """Its values; bfloat16 as float32."""
        halves = self.dtype == "bfloat16"
        values = np.fromfile(
            self.path,
            dtype="<u2" if halves else np.dtype(self.dtype).newbyteorder("<"),
            count=math.prod(self.shape),
            offset=self.offset,
        )
        if halves:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.reshape(self.shape)


@dataclass(frozen=True, eq=False)
class TensorFile:
    """The tensors of ``path`` by name."""

    path: Path
    tensors: dict[str, StoredTensor]

    def __getitem__(self, name: str) -> StoredTensor:
        if name not in self.tensors:
            raise ModelError(
                f"{self.path} is foreign or incomplete: {name} is not among its "
                f"{len(self.tensors)} tensors"
            )
        return self.tensors[name]

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def walk(self, pattern: str, start: int = 0, step: int = 1) -> Iterator[StoredTensor]:
        """The tensors ``pattern`` with ``{}`` = start, start + step, ... as far as they exist.

        The first one must exist.
        """
        yield self[pattern.format(start)]
        while (name := pattern.format(start := start + step)) in self.tensors:
            yield self.tensors[name]
