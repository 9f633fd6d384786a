"""From a torch module to an ONNX graph whose initializers have the state dict's names.

The TorchScript exporter is used (opset 17): on the S unet it takes 13 s where the dynamo exporter
takes 60-90 s, and ONNX Runtime runs either graph equally fast (docs/exporting.md has the table).
"""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import Final

import onnx
import torch

from onnx_export.graphs.files import BUFFERS_KEY
from onnx_export.graphs.signatures import Signature

__all__ = ["OPSET", "export_graph"]

OPSET: Final = 17
"""Read by every ONNX Runtime from 1.13 on."""


def export_graph(
    module: torch.nn.Module, signature: Signature, scratch: Path, *, weights: bool = True
) -> onnx.ModelProto:
    """Trace ``module`` with the example inputs of ``signature``.

    Constant folding and deduplication stay off, because both rename weights: every initializer is
    called what the state dict calls it, and ONNX Runtime folds the rest when it loads the graph.

    Args:
        module: its forward takes ``signature.inputs`` and returns ``signature.outputs``.
        signature: names, example tensors and dynamic axes.
        scratch: a folder for the exporter's own files, which may be as large as the weights.
        weights: without them the initializers have a type and a shape, but no values.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder) / "graph.onnx"
        with warnings.catch_warnings(), torch.no_grad():
            # Shapes of the trace that are constants by design, and the exporter's own age.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(),
                tuple(signature.inputs.values()),
                str(path),
                input_names=list(signature.inputs),
                output_names=list(signature.outputs),
                dynamic_axes=signature.dynamic_axes,
                opset_version=OPSET,
                dynamo=False,
                do_constant_folding=False,
                keep_initializers_as_inputs=True,
                training=torch.onnx.TrainingMode.PRESERVE,
                export_params=weights,
            )
        graph = onnx.load(path)
    if not weights:
        _declare_initializers(graph, set(signature.inputs))
    _keep_inputs(graph, set(signature.inputs))
    buffers = sorted(name for name, _ in module.named_buffers())
    onnx.helper.set_model_props(graph, {BUFFERS_KEY: json.dumps(buffers)})
    return graph


def _declare_initializers(graph: onnx.ModelProto, inputs: set[str]) -> None:
    """Weights that the exporter left out are listed among the inputs."""
    for value in graph.graph.input:
        if value.name not in inputs:
            kind = value.type.tensor_type
            dims = [size.dim_value for size in kind.shape.dim]
            graph.graph.initializer.add(name=value.name, data_type=kind.elem_type, dims=dims)


def _keep_inputs(graph: onnx.ModelProto, names: set[str]) -> None:
    """Initializers listed among the inputs could not be folded by ONNX Runtime."""
    kept = [value for value in graph.graph.input if value.name in names]
    del graph.graph.input[:]
    graph.graph.input.extend(kept)
