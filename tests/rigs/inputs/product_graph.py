"""The smallest graph with weights: ``y = x @ ones``, and broken ones like it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

__all__ = ["broken_graphs", "product_graph"]


def product_graph(path: Path) -> Path:
    """Write a graph from x [n, 4] to y [n, 4]."""
    weights = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    path.write_bytes(_model(helper.make_node("MatMul", ["x", "w"], ["y"]), weights))
    return path


def broken_graphs() -> dict[str, bytes]:
    """Files that are no graphs, and graphs that ask for what they may not have."""
    whole = _model(helper.make_node("Evil", ["x", "w"], ["y"], domain="evil"), _outside("w.bin"))
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    return {
        "empty": b"",
        "garbage": b"\0\1garbage" * 100,
        "truncated": whole[: len(whole) // 2],
        "foreign operator": whole,
        "missing weights": _model(product, _outside("w.bin")),
        "weights elsewhere": _model(product, _outside("../../../../etc/passwd")),
    }


def _outside(location: str) -> Any:
    tensor = TensorProto(name="w", data_type=1, dims=[4, 4], data_location=1)
    for key, value in (("location", location), ("offset", "0"), ("length", "64")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def _model(node: Any, weights: Any) -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("evil", 1)]
    graph = helper.make_graph([node], "product", [x], [y], [weights])
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    return data
