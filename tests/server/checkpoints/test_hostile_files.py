"""Checkpoints that are damaged, or that try to run code: a sentence, and nothing else happens."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from server.checkpoints.checkpoint import read_tensors
from server.checkpoints.safetensors_file import read_safetensors
from server.checkpoints.torch_file import read_torch_file
from server.errors import ModelError

pytestmark = pytest.mark.integration

VALUES = np.arange(24, dtype=np.float32).reshape(4, 6)


class Evil:
    """Unpickling this would make a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def torch_zip(path: Path, pickled: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    """A file as ``torch.save`` writes it, with one storage."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", VALUES.tobytes())
    return path


def state(
    first: int = 0, shape: tuple[int, ...] = (4, 6), stride: tuple[int, ...] = (6, 1)
) -> bytes:
    """The pickle of ``{"weight": tensor}``, written by hand because torch is not needed here."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            return obj.pid if isinstance(obj, Storage) else None

    class Storage:
        pid = ("storage", FloatStorage, "0", "cpu", 24)

    stream = io.BytesIO()
    pickler = Pickler(stream, protocol=2)
    pickler.dump({"weight": Tensor(Storage(), first, shape, stride), "epoch": 3})
    return (
        stream.getvalue()
        .replace(b"c" + __name__.encode() + b"\nFloatStorage", b"ctorch\nFloatStorage")
        .replace(
            b"c" + __name__.encode() + b"\n_rebuild_tensor_v2", b"ctorch._utils\n_rebuild_tensor_v2"
        )
    )


class FloatStorage: ...


def _rebuild_tensor_v2(*_: object) -> None: ...


class Tensor:
    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return _rebuild_tensor_v2, (*self.arguments, False, None)


def safetensors(path: Path, header: dict[str, object], data: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_a_torch_file_is_read_in_place(tmp_path: Path) -> None:
    tensor = read_torch_file(torch_zip(tmp_path / "a.ckpt", state()))["weight"]
    assert np.array_equal(tensor.read(), VALUES)
    assert np.array_equal(tensor.rows(1, 2).read(), VALUES[2:])


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    target = tmp_path / "made"
    evil = pickle.dumps({"state_dict": {"x": Evil(target)}})
    with pytest.raises(ModelError, match="no state dict"):
        read_torch_file(torch_zip(tmp_path / "evil.ckpt", evil))
    assert not target.exists()
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps([Evil(target), Evil(target)], protocol)
        with pytest.raises(ModelError):
            read_torch_file(torch_zip(tmp_path / "evil.ckpt", pickled))
    assert not target.exists()


@pytest.mark.parametrize(
    "pickled",
    [
        state(first=20),
        state(first=-4),
        state(shape=(400, 600), stride=(600, 1)),
        state(shape=(4, 6, 1), stride=(6, 1)),
        pickle.dumps(7),
        b"",
        b"\x80\x02.",
    ],
)
def test_tensors_beyond_their_storage_are_refused(pickled: bytes, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        read_torch_file(torch_zip(tmp_path / "a.ckpt", pickled))


def test_a_transposed_tensor_is_left_out(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no state dict"):
        read_torch_file(torch_zip(tmp_path / "a.ckpt", state(shape=(6, 4), stride=(1, 6))))


def test_compressed_members_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="compressed"):
        read_torch_file(torch_zip(tmp_path / "a.ckpt", state(), zipfile.ZIP_DEFLATED))


def test_a_safetensors_file_is_read_in_place(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [4, 6], "data_offsets": [0, 96]}
    path = safetensors(
        tmp_path / "a.safetensors", {"__metadata__": {"a": "b"}, "x": entry}, VALUES.tobytes()
    )
    assert np.array_equal(read_tensors(path)["x"].read(), VALUES)


def test_halves_are_read(tmp_path: Path) -> None:
    data = (VALUES.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    entry = {"dtype": "BF16", "shape": [4, 6], "data_offsets": [0, 48]}
    path = safetensors(tmp_path / "a.safetensors", {"x": entry}, data)
    assert np.array_equal(read_safetensors(path)["x"].read(), VALUES)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [4, 6], "data_offsets": [0, 95]},
        {"dtype": "F32", "shape": [4, 6], "data_offsets": [96, 192]},
        {"dtype": "F32", "shape": [-4, 6], "data_offsets": [0, 96]},
        {"dtype": "F33", "shape": [4, 6], "data_offsets": [0, 96]},
        {"dtype": "F32", "shape": [4, 6]},
        [],
    ],
)
def test_impossible_headers_are_refused(entry: object, tmp_path: Path) -> None:
    path = safetensors(tmp_path / "a.safetensors", {"x": entry}, VALUES.tobytes())
    with pytest.raises(ModelError):
        read_safetensors(path)


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [4, 6], "data_offsets": [0, 96]}
    good = (
        torch_zip(tmp_path / "a.ckpt", state()),
        safetensors(tmp_path / "a.safetensors", {"x": entry}, VALUES.tobytes()),
    )
    draw = random.Random(0)
    for path in good:
        content = path.read_bytes()
        damaged = path.with_stem("damaged")
        for _ in range(300):
            changed = bytearray(content)
            for _ in range(draw.randint(1, 6)):
                changed[draw.randrange(len(changed))] = draw.randrange(256)
            damaged.write_bytes(
                changed[: draw.choice([len(changed), draw.randrange(len(changed))])]
            )
            try:
                for tensor in read_tensors(damaged).tensors.values():
                    tensor.read()
            except ModelError:
                continue
