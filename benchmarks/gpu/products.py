"""What a device can do at most, by ONNX Runtime: large products, and the smallest run."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, save

from benchmarks.gpu.graphs import Variant, milliseconds

__all__ = ["empty_run_ms", "product_tflops"]

_PRODUCTS = 16
"""In one run, so that starting it counts little."""


def product_tflops(device: str, kind: str) -> float:
    """10^12 floating point operations a second of products of square matrices."""
    size = 512 if device == "cpu" else 4096
    values = np.random.default_rng(0).standard_normal((size, size)).astype(kind) / size
    session = Variant(resident=True)
    with tempfile.TemporaryDirectory() as folder:
        path = _chain(Path(folder), "MatMul", kind, size, _PRODUCTS)
        loaded = session.session(path, device)
        ms = milliseconds(lambda: loaded.run(None, {"x": values}), 1.0)["least"]
    return round(2e-9 * size**3 * _PRODUCTS / ms, 2)


def empty_run_ms(device: str) -> dict[str, float]:
    """Milliseconds of a run of one small kernel, with its copies there and back."""
    with tempfile.TemporaryDirectory() as folder:
        path = _chain(Path(folder), "Add", "float32", 16, 1)
        loaded = Variant(resident=True).session(path, device)
        given = {"x": np.ones((16, 16), np.float32)}
        return milliseconds(lambda: loaded.run(None, given), 0.5)


def _chain(folder: Path, operator: str, kind: str, size: int, num: int) -> Path:
    """A graph of ``num`` operators, each on ``x`` and the result before; the result is small."""
    element = {"float16": TensorProto.FLOAT16, "float32": TensorProto.FLOAT}[kind]
    names = ["x", *(f"y{n}" for n in range(num))]
    nodes = [
        helper.make_node(operator, [before, "x"], [after])
        for before, after in itertools.pairwise(names)
    ]
    nodes.append(helper.make_node("ReduceMax", [names[-1]], ["most"], keepdims=0))
    graph = helper.make_graph(
        nodes,
        "products",
        [helper.make_tensor_value_info("x", element, [size, size])],
        [helper.make_tensor_value_info("most", element, [])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    save(model, str(folder / "products.onnx"))
    return folder / "products.onnx"
