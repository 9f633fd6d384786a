"""Does this machine compute AudioLDM's networks? Templates with drawn weights, against torch.

Each template holds outputs that torch computed with weights drawn by :func:`drawn_weights`. So the
check needs no checkpoint, and says nothing about anybody's weights.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from server.checkpoints.architecture import Architecture
from server.checkpoints.folder import STORAGE
from server.checkpoints.graph import weight_shapes, write_graph
from server.checkpoints.templates import Template, Templates
from server.checkpoints.tensors import StoredTensor
from server.errors import ModelError
from server.model.examples import drawn, example_inputs, golden_outputs, snr_db
from server.model.manifest import Manifest
from server.model.session import Graph, Provider

__all__ = ["drawn_weights", "find_template", "template_snr_db"]


def drawn_weights(template: Template) -> dict[str, StoredTensor]:
    """Weights for a template, by their names in the state dict; the same on every machine."""
    shapes = weight_shapes(template)
    return {name: _Drawn(Path(), 0, "float32", shape, name) for name, shape in shapes.items()}


@dataclass(frozen=True)
class _Drawn(StoredTensor):
    """Values of a size with which no layer fades or explodes."""

    name: str

    def read(self) -> npt.NDArray[Any]:
        values = drawn(self.name, self.shape)
        if len(self.shape) > 1:
            return values / np.float32(math.sqrt(math.prod(self.shape[1:])))
        is_offset = self.name.endswith(("bias", "mean"))
        return np.clip(values, -3, 3) * np.float32(0.1) + np.float32(not is_offset)


def find_template(manifest: Manifest, templates: Templates, name: str) -> Template | None:
    """The template of a model's graph; None where the network is another one."""
    facts = {key: _tuple(value) for key, value in manifest.architecture.items()}
    if not facts:  # its sizes are unknown
        return None
    heads = list(facts.pop("attention_heads", ()))
    half = manifest.precision == "fp16" and name == "unet"
    try:
        return templates.find(name, Architecture(**facts), heads, half=half)
    except (TypeError, ModelError):  # other networks, or other sizes
        return None


def template_snr_db(
    template: Template,
    manifest: Manifest,
    scratch: Path,
    providers: Sequence[Provider],
    threads: int,
) -> float:
    """How near this machine's output with drawn weights is to torch's, in dB.

    Args:
        template: of one of the model's graphs.
        manifest: of the model: its sizes and precision.
        scratch: where there is room for the weights meanwhile.
        providers: see :func:`server.model.session.providers_for`.
        threads: CPU threads.

    Raises:
        ModelError, RenderError: the graph cannot be loaded or run.
    """
    with tempfile.TemporaryDirectory(prefix=".verify-", dir=scratch) as folder:
        path = Path(folder) / f"{template.component}.onnx"
        weights, storage = drawn_weights(template), STORAGE[manifest.precision]
        write_graph(template, weights, path, locations={}, identity="drawn", storage=storage)
        graph = Graph(path, providers, threads)
        inputs = example_inputs(manifest)[template.component]
        return snr_db(golden_outputs(graph, inputs), template.info.golden)


def _tuple(value: object) -> Any:
    return tuple(value) if isinstance(value, list) else value
