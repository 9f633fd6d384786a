"""A graph file from a template: its weights point into the checkpoint's own files.

Weights of another type than the graph's are converted, one at a time, into ``NAME.onnx.data``.
Sources: ``onnx/onnx.proto`` (field numbers), ``docs/ExternalData.md`` of ONNX.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import numpy as np
import numpy.typing as npt

from server.checkpoints.storage import to_half, to_int8
from server.checkpoints.templates import Template
from server.checkpoints.tensors import ITEM_BYTES, StoredTensor
from server.checkpoints.wire import Value, decode, encode, message
from server.errors import ModelError

__all__ = ["Storage", "weight_shapes", "write_graph"]

Storage = Literal["", "fp16-weights", "int8-weights"]
Fields = list[tuple[int, Value | str]]

_GRAPH, _METADATA = 7, 14  # fields of ModelProto
_NODE, _INITIALIZER = 1, 5  # of GraphProto
_INPUT, _OUTPUT, _OP, _ATTRIBUTE = 1, 2, 4, 5  # of NodeProto
_DIMS, _TYPE, _NAME, _EXTERNAL, _LOCATION = 1, 2, 8, 13, 14  # of TensorProto
_TYPES: Final = {"float32": 1, "int8": 3, "float16": 10}
"""Values of TensorProto.DataType."""
_NAMES: Final = {number: name for name, number in _TYPES.items()}
_ALIGNMENT: Final = 64
IDENTITY_KEY: Final = "audioldm.weights"
"""Metadata key: which weights these are, so that the graph's checksum stands for them too."""


def write_graph(
    template: Template,
    tensors: Mapping[str, StoredTensor],
    target: Path,
    *,
    locations: Mapping[Path, str],
    identity: str,
    storage: Storage = "",
) -> int:
    """Write ``target``, and beside it ``NAME.onnx.data`` where weights had to be converted.

    Args:
        template: the graph.
        tensors: the weights, by their names in the state dict.
        target: the file of the graph.
        locations: what the checkpoint's files are called in the folder of ``target``. Weights in
            other files are copied.
        identity: of the weights.
        storage: how they are stored.

    Returns:
        bytes of the weights in the checkpoint's files.

    Raises:
        ModelError: a weight has another number of elements.
    """
    data = target.with_name(f"{target.name}.data")
    with data.open("wb") as stream:
        writer = _Writer(
            template=template,
            tensors=tensors,
            locations=locations,
            storage=storage,
            data=stream,
            data_name=data.name,
        )
        target.write_bytes(writer.model(identity))
    if not data.stat().st_size:
        data.unlink()
    return writer.bytes_in_place


def weight_shapes(template: Template) -> dict[str, tuple[int, ...]]:
    """The shapes that a template's weights have in its graph, by their names in the state dict."""
    (graph,) = (_bytes(value) for number, value in decode(template.graph) if number == _GRAPH)
    tensors = (_described(_bytes(value)) for n, value in decode(graph) if n == _INITIALIZER)
    shapes = {name: tuple(dims) for name, dims, _ in tensors}
    return {state: shapes[name] for name, state in template.info.weights.items()}


@dataclass(kw_only=True, eq=False)
class _Writer:
    """What :func:`write_graph` is asked, and what has been found on the way."""

    template: Template
    tensors: Mapping[str, StoredTensor]
    locations: Mapping[Path, str]
    storage: Storage
    data: BinaryIO
    data_name: str
    bytes_in_place: int = 0
    nodes: list[bytes] = field(default_factory=list)
    scales: list[bytes] = field(default_factory=list)
    expanded: dict[bytes, bytes] = field(default_factory=dict)
    """Weights that are stored smaller, and what the nodes read instead."""

    def model(self, identity: str) -> bytes:
        fields: Fields = [
            (number, self._graph(value) if number == _GRAPH and isinstance(value, bytes) else value)
            for number, value in decode(self.template.graph)
        ]
        fields.append((_METADATA, message([(1, IDENTITY_KEY), (2, identity)])))
        return message(fields)

    def _graph(self, graph: bytes) -> bytes:
        fields = list(decode(graph))
        initializers = [self._initializer(_bytes(v)) for n, v in fields if n == _INITIALIZER]
        nodes = [self._node(_bytes(v)) for n, v in fields if n == _NODE]
        rest: Fields = [(n, v) for n, v in fields if n not in (_NODE, _INITIALIZER)]
        return message(
            [
                *((_NODE, node) for node in (*self.nodes, *nodes)),
                *((_INITIALIZER, tensor) for tensor in (*initializers, *self.scales)),
                *rest,
            ]
        )

    def _node(self, node: bytes) -> bytes:
        """The node, reading the expanded weights."""
        if not self.expanded:
            return node
        return message(
            (number, self.expanded.get(value, value))
            if number == _INPUT and isinstance(value, bytes)
            else (number, value)
            for number, value in decode(node)
        )

    def _initializer(self, tensor: bytes) -> bytes:
        name, dims, kind = _described(tensor)
        state = self.template.info.weights.get(name)
        if state is None:
            return tensor
        stored = self.tensors[state]
        if math.prod(stored.shape) != math.prod(dims):
            shapes = f"{list(stored.shape)} instead of {dims}"
            raise ModelError(f"{stored.path}: {state} has shape {shapes}")
        if self.storage and name in self.template.info.storable:
            return self._smaller(name, stored.read().astype(np.float32).reshape(dims))
        in_place = stored.dtype == _NAMES[kind] and stored.path in self.locations
        if in_place and not stored.offset % ITEM_BYTES[stored.dtype]:
            self.bytes_in_place += stored.nbytes
            location = self.locations[stored.path]
            return _external(name, dims, kind, (location, stored.offset, stored.nbytes))
        return self._converted(name, stored.read().astype(_NAMES[kind]).reshape(dims))

    def _smaller(self, name: str, values: npt.NDArray[Any]) -> bytes:
        if self.storage == "fp16-weights":
            half = to_half(values)
            if half is None:
                return self._converted(name, values)
            self._expand(name, _node("Cast", [name], name, _attribute("to", _TYPES["float32"])))
            return self._converted(name, half)
        if name not in self.template.info.axes:
            return self._converted(name, values)
        axis = self.template.info.axes[name] % values.ndim
        small, scale = to_int8(values, axis)
        self.scales.append(self._converted(f"{name}.scale", scale))
        inputs = [name, f"{name}.scale"]
        self._expand(name, _node("DequantizeLinear", inputs, name, _attribute("axis", axis)))
        return self._converted(name, small)

    def _expand(self, name: str, node: bytes) -> None:
        self.nodes.append(node)
        self.expanded[name.encode()] = f"{name}.float".encode()

    def _converted(self, name: str, values: npt.NDArray[Any]) -> bytes:
        self.data.write(bytes(-self.data.tell() % _ALIGNMENT))
        offset = self.data.tell()
        self.data.write(np.ascontiguousarray(values).data)
        kind = _TYPES[values.dtype.name]
        place = self.data_name, offset, values.nbytes
        return _external(name, list(values.shape), kind, place)


def _described(tensor: bytes) -> tuple[str, list[int], int]:
    """Name, dimensions and type of a TensorProto."""
    name, dims, kind = "", [], 0
    for number, value in decode(tensor):
        if number == _DIMS and isinstance(value, int):
            dims.append(value)
        elif number == _TYPE and isinstance(value, int):
            kind = value
        elif number == _NAME and isinstance(value, bytes):
            name = value.decode()
    return name, dims, kind


def _external(name: str, dims: list[int], kind: int, place: tuple[str, int, int]) -> bytes:
    """A TensorProto whose values are in a file, from an offset on, so many bytes."""
    entries = dict(zip(("location", "offset", "length"), map(str, place), strict=True))
    pairs = (message([(1, key), (2, value)]) for key, value in entries.items())
    return message(
        [
            *((_DIMS, size) for size in dims),
            *((_TYPE, kind), (_NAME, name)),
            *((_EXTERNAL, pair) for pair in pairs),
            (_LOCATION, 1),
        ]
    )


def _node(operator: str, inputs: list[str], name: str, attribute: bytes) -> bytes:
    reads = ((_INPUT, value) for value in inputs)
    return message([*reads, (_OUTPUT, f"{name}.float"), (_OP, operator), (_ATTRIBUTE, attribute)])


def _attribute(name: str, value: int) -> bytes:
    """An AttributeProto of the type INT (2)."""
    return encode(1, name) + encode(3, value) + encode(20, 2)


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("a message was expected")
    return value
