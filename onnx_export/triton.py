"""From a model folder to a model repository for Triton's ONNX Runtime backend.

Each graph is one Triton model: ``NAME/config.pbtxt`` and ``NAME/1/model.onnx``, described after
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html
The sampler stays with the client, which calls the unet once for each step. The manifest and the
tokenizer lie at the top of the repository for it; Triton ignores files there.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import onnx

from onnx_export.graphs.files import external_files
from server.errors import ModelError
from server.model.folder import staging_folder
from server.model.manifest import Manifest

__all__ = ["InstanceKind", "config_text", "write_repository"]

InstanceKind = Literal["auto", "cpu", "gpu"]

_TYPES: Final = {
    onnx.TensorProto.FLOAT: "TYPE_FP32",
    onnx.TensorProto.FLOAT16: "TYPE_FP16",
    onnx.TensorProto.INT64: "TYPE_INT64",
    onnx.TensorProto.INT32: "TYPE_INT32",
}
_QUEUE_DELAY_US: Final = 2000
"""How long a request may wait for others of its shape; a step takes far longer."""


def write_repository(
    folder: Path,
    target: Path,
    *,
    kind: InstanceKind = "auto",
    instances: int = 1,
    max_batch: int = 16,
) -> Manifest:
    """Write the graphs of the model folder ``folder`` to the repository ``target``.

    Raises:
        ModelError: ``folder`` is no model folder, or a graph has unsupported tensors.
        InvalidRequest: ``target`` exists and is not a model folder.
    """
    manifest = Manifest.load(folder)
    with staging_folder(target) as staging:
        for name in ("manifest.json", "tokenizer.json"):
            shutil.copyfile(folder / name, staging / name)
        for name in manifest.components:
            model, file = staging / name, f"{name}.onnx"
            (model / "1").mkdir(parents=True)
            shutil.copyfile(folder / file, model / "1" / "model.onnx")
            # Weights beside a graph must keep the file name that the graph refers to.
            graph = onnx.load(folder / file, load_external_data=False)
            for stored in external_files(graph):
                shutil.copyfile(folder / stored, model / "1" / stored)
            text = config_text(
                name, graph.graph, kind=kind, instances=instances, max_batch=max_batch
            )
            (model / "config.pbtxt").write_text(text, "utf-8")
    return manifest


def config_text(
    name: str, graph: onnx.GraphProto, *, kind: InstanceKind, instances: int, max_batch: int
) -> str:
    """The ``config.pbtxt`` of one graph.

    Where every tensor begins with the same free dimension, that is the batch, and Triton forms
    batches of requests whose other dimensions agree.

    Raises:
        ModelError: a tensor has an unsupported type.
    """
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    tensors = [*inputs, *graph.output]
    first = {_dims(value)[:1] for value in tensors}
    batched = len(first) == 1 and isinstance(next(iter(first), (0,))[0], str)
    lines = [
        f'name: "{name}"',
        'backend: "onnxruntime"',
        'default_model_filename: "model.onnx"',
        f"max_batch_size: {max_batch if batched else 0}",
        _tensors("input", inputs, batched),
        _tensors("output", graph.output, batched),
        f"instance_group [ {{ kind: KIND_{kind.upper()} count: {instances} }} ]",
    ]
    if batched:
        lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {_QUEUE_DELAY_US} }}")
    return "\n".join(lines) + "\n"


def _tensors(word: str, values: Sequence[onnx.ValueInfoProto], batched: bool) -> str:
    return f"{word} [\n" + ",\n".join(_tensor(value, batched) for value in values) + "\n]"


def _tensor(value: onnx.ValueInfoProto, batched: bool) -> str:
    element = value.type.tensor_type.elem_type
    if element not in _TYPES:
        raise ModelError(f"{value.name} has the type {onnx.TensorProto.DataType.Name(element)}")
    dims = [-1 if isinstance(d, str) else d for d in _dims(value)[1 if batched else 0 :]]
    # Triton has no scalars: [batch] in the graph is [batch, 1] for its clients.
    shape = f"dims: {dims}" if dims else "dims: [1] reshape { shape: [] }"
    return f'  {{ name: "{value.name}" data_type: {_TYPES[element]} {shape} }}'


def _dims(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    """Sizes; a free one by its name."""
    shape = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in shape)
