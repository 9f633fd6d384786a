"""ONNX files on disk: weights of large graphs beside them, buffers marked in the metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import onnx

__all__ = ["BUFFERS_KEY", "buffer_names", "save_graph"]

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


def buffer_names(graph: onnx.ModelProto) -> frozenset[str]:
    """The initializers that :func:`onnx_export.graphs.tracing.export_graph` marked as buffers."""
    values = [entry.value for entry in graph.metadata_props if entry.key == BUFFERS_KEY]
    return frozenset(json.loads(values[0]) if values else ())
