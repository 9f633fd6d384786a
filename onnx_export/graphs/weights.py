"""The weights of a graph as a torch state dict, whatever their precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from onnx import numpy_helper

from onnx_export.graphs.files import load_graph

__all__ = ["read_state_dict"]


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read the initializers of an exported graph by name, as float32.

    Weights stored as float16 or int8 are expanded; integer buffers keep their type. A network
    loads them with ``load_state_dict(..., strict=False)``: buffers that tracing found unused
    (``num_batches_tracked`` for example) are not in the graph.
    """
    graph = load_graph(path).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    expanded = [node for node in graph.node if node.op_type == "DequantizeLinear"]
    for node in expanded:
        name, scale = node.input[0], arrays.pop(node.input[1])
        axis = next(entry.i for entry in node.attribute if entry.name == "axis")
        shape = [1] * arrays[name].ndim
        shape[axis] = -1
        arrays[name] = arrays[name] * scale.reshape(shape)
    return {name: torch.from_numpy(_single(array)) for name, array in arrays.items()}


def _single(array: np.ndarray) -> np.ndarray:
    wide = array.astype(np.float32) if array.dtype == np.float16 else array
    # Arrays read from a graph are views of read-only bytes, which torch warns about.
    return wide.copy()
