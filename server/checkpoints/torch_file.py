"""Reader of PyTorch's ``.bin``, ``.pt`` and ``.ckpt`` files, which runs no code from them.

PyTorch 1.6 and later write an uncompressed zip: a pickle of the structure and one member for each
storage. The unpickler here knows tensors, storages and ordered dictionaries; any other name that a
file mentions becomes an inert object. So tensors are found, and nothing else happens.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from server.checkpoints.tensors import ITEM_BYTES, StoredTensor, TensorFile
from server.errors import ModelError

__all__ = ["read_torch_file"]

_TYPES: Final = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_LOCAL_HEADER: Final = struct.Struct("<4s5H3I2H")
_LARGEST_PICKLE: Final = 64 * 2**20


@dataclass(frozen=True)
class Storage:
    """A member of the zip that holds a tensor's elements."""

    dtype: str
    key: str


class Inert:
    """Stands for every object that is no tensor; keeps nothing and does nothing."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...

    def __setitem__(self, *_: object) -> None: ...

    def append(self, _: object) -> None: ...

    def extend(self, _: object) -> None: ...

    def __call__(self, *_: object, **__: object) -> Inert:
        return self


def read_torch_file(path: Path) -> TensorFile:
    """The state dict of ``path``: bare, or under ``state_dict``.

    Raises:
        ModelError: it is no such file, it is truncated, or written by a PyTorch before 1.6.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content = _Unpickler(path, archive).load()
    except ModelError:
        raise
    except Exception as error:  # a damaged pickle raises anything
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(
            f"{path} cannot be read as a PyTorch checkpoint: it is truncated or of another "
            f"kind ({reason})"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    tensors = {str(name): value for name, value in state.items() if isinstance(value, StoredTensor)}
    if not tensors:
        raise ModelError(f"{path} holds no state dict, so it is no model checkpoint")
    return TensorFile(path, tensors)


class _Unpickler(pickle.Unpickler):
    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._members = {info.filename: info for info in archive.infolist()}
        name = next(name for name in self._members if name.rpartition("/")[2] == "data.pkl")
        self._prefix = name.removesuffix("data.pkl")
        if self._members[name].file_size > _LARGEST_PICKLE:
            raise ModelError(f"{path} has a pickle of {self._members[name].file_size} bytes")
        self._path = path
        self._offsets: dict[str, int] = {}
        super().__init__(io.BytesIO(archive.read(name)))

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        }
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        return known.get((module, name), Inert)

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, *_ = pid
        if kind != "storage" or dtype not in ITEM_BYTES:
            raise ValueError(f"a storage of the kind {dtype}")
        return Storage(dtype, str(key))

    def _tensor(
        self, storage: Storage, first: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any
    ) -> StoredTensor | Inert:
        """The tensor, or something inert where its elements do not lie in order."""
        if not _is_contiguous(shape, stride):
            return Inert()
        info = self._members[f"{self._prefix}data/{storage.key}"]
        start = first * ITEM_BYTES[storage.dtype]
        tensor = StoredTensor(
            self._path, self._offset(info) + start, storage.dtype, tuple(map(int, shape))
        )
        if first < 0 or start + tensor.nbytes > info.file_size:
            raise ValueError(f"a tensor of {shape} in {info.file_size} bytes")
        return tensor

    def _offset(self, info: zipfile.ZipInfo) -> int:
        """Where the member's bytes begin; its local header may be longer than the central one."""
        if info.filename not in self._offsets:
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError("its members are compressed")
            with self._path.open("rb") as stream:
                stream.seek(info.header_offset)
                header = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
            self._offsets[info.filename] = (
                info.header_offset + _LOCAL_HEADER.size + header[9] + header[10]
            )
        return self._offsets[info.filename]


def _is_contiguous(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    expected = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    pairs = zip(shape, stride, expected, strict=True)
    return all(size == 1 or step == wanted for size, step, wanted in pairs)
