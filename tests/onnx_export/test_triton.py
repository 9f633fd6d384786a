"""The Triton repository: its configs are text protobuf of Triton's schema and fit the graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from onnx_export.cli import main
from onnx_export.graphs.files import save_graph
from server.model.folder import seal
from server.model.manifest import COMPONENTS, Manifest

pytestmark = pytest.mark.integration

NUMPY = {"TYPE_FP32": np.float32, "TYPE_INT64": np.int64}
SIZES = {"N": 16, "S": 16000, "T": 8, "M": 32}


def model_config() -> Any:
    """The part of Triton's model_config.proto that is used here, with its field numbers."""
    file = descriptor_pb2.FileDescriptorProto(name="mc.proto", package="mc", syntax="proto3")
    types = {"s": 9, "i32": 5, "i64": 3, "u64": 4}

    def enum(name: str, /, **values: int) -> None:
        found = file.enum_type.add(name=name)
        for word, number in sorted(values.items(), key=lambda item: item[1]):
            found.value.add(name=word, number=number)

    def message(name: str, /, **fields: tuple[str, int, bool]) -> None:
        found = file.message_type.add(name=name)
        for field, (kind, number, many) in fields.items():
            made = found.field.add(name=field, number=number, label=3 if many else 1)
            if kind in types:
                made.type = types[kind]
            else:
                made.type_name, made.type = f".mc.{kind}", 14 if kind.isupper() else 11

    enum("TYPE", TYPE_INVALID=0, TYPE_INT32=8, TYPE_INT64=9, TYPE_FP16=10, TYPE_FP32=11)
    enum("KIND", KIND_AUTO=0, KIND_GPU=1, KIND_CPU=2)
    message("Reshape", shape=("i64", 1, True))
    tensor = {"name": ("s", 1, False), "data_type": ("TYPE", 2, False)}
    message("Input", **tensor, dims=("i64", 4, True), reshape=("Reshape", 5, False))
    message("Output", **tensor, dims=("i64", 3, True), reshape=("Reshape", 5, False))
    message("Group", count=("i32", 2, False), kind=("KIND", 4, False))
    message("Batching", max_queue_delay_microseconds=("u64", 2, False))
    message(
        "ModelConfig",
        name=("s", 1, False),
        max_batch_size=("i32", 4, False),
        input=("Input", 5, True),
        output=("Output", 6, True),
        instance_group=("Group", 7, True),
        default_model_filename=("s", 8, False),
        dynamic_batching=("Batching", 11, False),
        backend=("s", 17, False),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("mc.ModelConfig"))


@pytest.fixture(scope="module")
def folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with the unet's weights outside its graph."""
    folder = tmp_path_factory.mktemp("outside")
    for path in tiny_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onnx_export.graphs.files.INLINE_LIMIT", 0)
        save_graph(onnx.load(folder / "unet.onnx"), folder / "unet.onnx")
    assert (folder / "unet.onnx.data").stat().st_size > 0
    (folder / "manifest.json").unlink()
    seal(folder, Manifest.load(tiny_folder), "fp32")
    return folder


@pytest.fixture(scope="module")
def repository(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("triton") / "repository"
    assert main(["triton", str(folder), "-o", str(repository), "--instances", "2"]) == 0
    return repository


def config(repository: Path, name: str) -> Any:
    return text_format.Parse((repository / name / "config.pbtxt").read_text(), model_config()())


def test_one_model_a_graph(repository: Path, folder: Path) -> None:
    assert sorted(p.name for p in repository.iterdir() if p.is_dir()) == sorted(COMPONENTS)
    assert (repository / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
    assert sorted(p.name for p in (repository / "unet" / "1").iterdir()) == [
        "model.onnx",
        "unet.onnx.data",
    ]


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_config_fits_the_graph(repository: Path, name: str) -> None:
    found = config(repository, name)
    assert (found.name, found.backend, found.max_batch_size) == (name, "onnxruntime", 16)
    assert found.HasField("dynamic_batching")
    assert [(group.kind, group.count) for group in found.instance_group] == [(0, 2)]
    session = onnxruntime.InferenceSession(
        repository / name / "1" / found.default_model_filename, providers=["CPUExecutionProvider"]
    )
    # What Triton does with the request of a client that sends two of each.
    feeds = {}
    for config_input, graph_input in zip(found.input, session.get_inputs(), strict=True):
        assert config_input.name == graph_input.name
        free = [SIZES[d] for d in graph_input.shape[1:] if isinstance(d, str)]
        sent = [free.pop(0) if dim == -1 else dim for dim in config_input.dims]
        kind = NUMPY[
            found.DESCRIPTOR.file.enum_types_by_name["TYPE"]
            .values_by_number[config_input.data_type]
            .name
        ]
        value = np.ones([2, *sent], kind)
        feeds[config_input.name] = (
            value.reshape([2, *config_input.reshape.shape])
            if config_input.HasField("reshape")
            else value
        )
    outputs = session.run([output.name for output in found.output], feeds)
    for config_output, output in zip(found.output, outputs, strict=True):
        assert (config_output.data_type, output.dtype) == (11, np.float32)
        assert len(output) == 2
        for dim, size in zip(config_output.dims, output.shape[1:], strict=True):
            assert dim in (-1, size)


def test_the_unets_timestep_is_no_scalar_to_clients(repository: Path) -> None:
    (timestep,) = [i for i in config(repository, "unet").input if i.name == "timestep"]
    assert list(timestep.dims) == [1]
    assert list(timestep.reshape.shape) == []
    assert timestep.HasField("reshape")


def test_what_is_no_model_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["triton", str(tmp_path), "-o", str(tmp_path / "repository")]) == 2
    assert "manifest" in capsys.readouterr().err
    assert not (tmp_path / "repository").exists()
