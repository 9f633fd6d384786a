"""How the weights of a graph are stored.

========================  ======================================================================
fp32                      float32 throughout
fp16                      the unet computes in float16 (float32 at its boundary); the other
                          graphs store float16 weights and compute in float32
fp16-weights              float16 weights with a ``Cast`` in front, computed in float32
int8-weights              int8 weights with one scale an output channel and a
                          ``DequantizeLinear`` in front, computed in float32
========================  ======================================================================

ONNX Runtime folds both kinds of nodes when it loads a graph (``DequantizeLinear`` with the session
entry ``session.disable_quant_qdq`` = 1). So the last two save disk space, not time. Initializers
keep the state dict's names. Outputs of the nodes are called ``NAME.float``, scales ``NAME.scale``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from server.checkpoints.storage import SMALLEST, to_half, to_int8

__all__ = [
    "PRECISIONS",
    "Precision",
    "WeightStorage",
    "is_large_float",
    "output_axes",
    "store_weights",
]

Precision = Literal["fp32", "fp16", "fp16-weights", "int8-weights"]
WeightStorage = Literal["fp16-weights", "int8-weights"]
PRECISIONS: Final[tuple[Precision, ...]] = ("fp32", "fp16", "fp16-weights", "int8-weights")

OUTPUT_AXIS: Final = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1, "Gemm": 1, "Gather": 0}
"""Axis of the output channels (of the rows, for an embedding) in a node's weight."""


def store_weights(graph: onnx.ModelProto, storage: WeightStorage, buffers: frozenset[str]) -> None:
    """Store the large float32 weights of ``graph`` smaller, in place.

    Args:
        graph: with float32 initializers.
        storage: what the weights become.
        buffers: initializers that stay as they are.
    """
    axes = output_axes(graph.graph)
    initializers = graph.graph.initializer
    nodes: list[onnx.NodeProto] = []
    scales: list[TensorProto] = []
    for tensor in initializers:
        if tensor.name in buffers or not is_large_float(tensor):
            continue
        if storage == "fp16-weights":
            stored = _to_half(tensor, nodes)
        elif tensor.name in axes:
            stored = _to_int8(tensor, axes[tensor.name], nodes, scales)
        else:
            continue
        if stored is not None:
            tensor.CopyFrom(stored)
    initializers.extend(scales)
    _read_from(graph.graph, {node.input[0]: node.output[0] for node in nodes})
    kept = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*nodes, *kept])


def is_large_float(tensor: TensorProto) -> bool:
    """Whether a weight is worth storing smaller."""
    return tensor.data_type == TensorProto.FLOAT and int(np.prod(tensor.dims)) >= SMALLEST


def _to_half(tensor: TensorProto, nodes: list[onnx.NodeProto]) -> TensorProto | None:
    values = to_half(numpy_helper.to_array(tensor))
    if values is None:
        return None
    name = tensor.name
    nodes.append(helper.make_node("Cast", [name], [f"{name}.float"], to=TensorProto.FLOAT))
    return numpy_helper.from_array(values, name)


def _to_int8(
    tensor: TensorProto, axis: int, nodes: list[onnx.NodeProto], scales: list[TensorProto]
) -> TensorProto:
    values, scale = to_int8(numpy_helper.to_array(tensor), axis)
    axis %= values.ndim
    name = tensor.name
    scales.append(numpy_helper.from_array(scale, f"{name}.scale"))
    nodes.append(
        helper.make_node("DequantizeLinear", [name, f"{name}.scale"], [f"{name}.float"], axis=axis)
    )
    return numpy_helper.from_array(values, name)


def output_axes(graph: onnx.GraphProto) -> dict[str, int]:
    """The output-channel axis of every weight that a matrix or table operator reads."""
    consumers: dict[str, list[onnx.NodeProto]] = {}
    for node in _nodes(graph):
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    axes = {}
    for tensor in graph.initializer:
        for node in consumers.get(tensor.name, ()):
            axis = _axis_in(node, tensor, consumers)
            if axis is not None:
                axes[tensor.name] = axis
                break
    return axes


def _axis_in(
    node: onnx.NodeProto, tensor: TensorProto, consumers: dict[str, list[onnx.NodeProto]]
) -> int | None:
    """Output-channel axis of ``tensor`` as ``node`` reads it; None where it is no weight."""
    if len(tensor.dims) < 2:
        return None
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    if node.op_type == "Transpose" and len(tensor.dims) == 2:
        # A linear layer: [out, in] in the state dict, transposed in front of its MatMul.
        readers = {reader.op_type for reader in consumers.get(node.output[0], ())}
        return 0 if readers == {"MatMul"} and list(attributes["perm"]) == [1, 0] else None
    place = 0 if node.op_type == "Gather" else 1
    if node.op_type not in OUTPUT_AXIS or tensor.name != node.input[place]:
        return None
    if node.op_type == "Gemm" and attributes.get("transB", 0):
        return 0
    if node.op_type == "ConvTranspose" and attributes.get("group", 1) != 1:
        return 0
    return OUTPUT_AXIS[node.op_type]


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes, those of If and Loop bodies included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _nodes(attribute.g)


def _read_from(graph: onnx.GraphProto, replacement: dict[str, str]) -> None:
    for node in _nodes(graph):
        for place, name in enumerate(node.input):
            node.input[place] = replacement.get(name, name)
