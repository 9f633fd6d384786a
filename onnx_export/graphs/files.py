"""ONNX files on disk: weights of large graphs beside them, buffers marked in the metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import onnx

__all__ = ["BUFFERS_KEY", "buffer_names", "external_files", "load_graph", "save_graph"]

BUFFERS_KEY: Final = "audioldm.buffers"
"""Metadata key: names of the initializers that are buffers (DFT bases, statistics)."""
INLINE_LIMIT: Final = 1 << 30
"""Larger graphs keep their weights in ``NAME.onnx.data``; protobuf is limited to 2 GiB."""


def save_graph(graph: onnx.ModelProto, path: Path) -> None:
    """Write ``graph``; weights beyond :data:`INLINE_LIMIT` go to ``path`` + ``.data``."""
    size = sum(len(tensor.raw_data) for tensor in graph.graph.initializer)
    if size < INLINE_LIMIT:
        onnx.save(graph, path)
        return
    onnx.save(graph, path, save_as_external_data=True, location=f"{path.name}.data")


def load_graph(path: Path) -> onnx.ModelProto:
    """The graph at ``path`` with its weights in memory.

    ``onnx.load`` refuses weights in a file that has a second name in the file system.
    """
    graph = onnx.load(path, load_external_data=False)
    for tensor in graph.graph.initializer:
        if tensor.external_data:
            place = {entry.key: entry.value for entry in tensor.external_data}
            with path.with_name(place["location"]).open("rb") as stream:
                stream.seek(int(place.get("offset", 0)))
                tensor.raw_data = stream.read(int(place.get("length", -1)))
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
    return graph


def external_files(graph: onnx.ModelProto) -> frozenset[str]:
    """Files beside the graph that hold its weights."""
    entries = (entry for tensor in graph.graph.initializer for entry in tensor.external_data)
    return frozenset(entry.value for entry in entries if entry.key == "location")


def buffer_names(graph: onnx.ModelProto) -> frozenset[str]:
    """The initializers that :func:`onnx_export.graphs.tracing.export_graph` marked as buffers."""
    values = [entry.value for entry in graph.metadata_props if entry.key == BUFFERS_KEY]
    return frozenset(json.loads(values[0]) if values else ())
