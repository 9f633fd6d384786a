"""From torch components to a model folder of ONNX graphs.

Graphs are TorchScript traces, and weights keep their names. A failed export leaves nothing behind
(:mod:`server.model.folder`).
"""

from __future__ import annotations

import copy
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
import tokenizers
import torch
from tqdm import tqdm

from onnx_export.components import Components
from onnx_export.graphs.files import buffer_names, save_graph
from onnx_export.graphs.precision import Precision, store_weights
from onnx_export.graphs.signatures import signatures
from onnx_export.graphs.tracing import OPSET, export_graph
from onnx_export.sources.source import Source, component
from server.model.folder import seal, staging_folder
from server.model.manifest import Manifest

__all__ = [
    "Flavour",
    "Precision",
    "export_source",
    "write_graphs",
    "write_model_folder",
]

Flavour = Literal["any", "cpu", "cuda"]
LoadComponent = Callable[[str], torch.nn.Module]


def write_model_folder(
    folder: Path,
    components: Components,
    manifest: Manifest,
    *,
    precision: Precision = "fp32",
    extra_files: Mapping[str, Path] | None = None,
) -> Manifest:
    """Export ``components`` as the model folder ``folder``.

    Args:
        folder: where the model folder shall be; an older model folder there is replaced.
        components: the modules and the tokenizer.
        manifest: sizes, schedule, source and licence; ``files``, ``precision``, ``opset`` and
            ``tokenizer.vocab_size`` are filled in here.
        precision: see :mod:`onnx_export.graphs.precision`.
        extra_files: more files for the folder (a model card, a licence), by plain file name.

    Returns:
        the manifest as written.

    Raises:
        InvalidRequest: ``folder`` holds something else than a model folder.
    """
    modules = components.modules()
    with staging_folder(folder) as staging:
        for name, path in (extra_files or {}).items():
            shutil.copyfile(path, staging / name)
        tokenizer = components.tokenizer
        return fill(staging, modules.__getitem__, tokenizer, manifest, precision)


def export_source(
    folder: Path, source: Source, *, precision: Precision = "fp32", flavour: Flavour = "any"
) -> Manifest:
    """Export a checkpoint as the model folder ``folder``, with one network in memory at a time.

    Raises:
        InvalidRequest: ``folder`` holds something else than a model folder.
        ModelError: the checkpoint is incomplete.
    """
    manifest = msgspec.structs.replace(source.manifest, flavour=flavour)
    with staging_folder(folder) as staging:
        return fill(staging, partial(component, source), source.tokenizer, manifest, precision)


def fill(
    staging: Path,
    load: LoadComponent,
    tokenizer: tokenizers.Tokenizer,
    manifest: Manifest,
    precision: Precision,
) -> Manifest:
    """Write all files of a model folder into ``staging``."""
    tokenizer.save(str(staging / "tokenizer.json"), pretty=False)
    rule = msgspec.structs.replace(manifest.tokenizer, vocab_size=tokenizer.get_vocab_size())
    manifest = msgspec.structs.replace(manifest, tokenizer=rule, opset=OPSET)
    write_graphs(staging, load, manifest, precision)
    return seal(staging, manifest, precision)


def write_graphs(
    staging: Path, load: LoadComponent, manifest: Manifest, precision: Precision
) -> None:
    """Write the graphs into ``staging``, with one component in memory at a time.

    Args:
        staging: an existing folder.
        load: returns a component by name; each is released before the next is loaded.
        manifest: sizes for the example inputs.
        precision: see :mod:`onnx_export.graphs.precision`.
    """
    wanted = signatures(manifest)
    bar = tqdm(manifest.components, desc="export", unit="graph", file=sys.stderr, disable=None)
    for name in bar:
        bar.set_postfix_str(name)
        module = load(name)
        if precision == "fp16" and name == "unet":
            module = half_precision(module)
        graph = export_graph(module, wanted[name], staging)
        del module
        if precision == "int8-weights":
            store_weights(graph, "int8-weights", buffer_names(graph))
        elif precision != "fp32":
            store_weights(graph, "fp16-weights", buffer_names(graph))
        save_graph(graph, staging / f"{name}.onnx")
        del graph


def half_precision(unet: torch.nn.Module) -> torch.nn.Module:
    """A copy of ``unet`` that computes in float16 between float32 inputs and outputs.

    The timestep stays float32: float16 cannot count to 1000 in quarters, and the sinusoid of it
    is computed before the first layer.
    """
    half = copy.deepcopy(unet).half()
    inner = half.forward

    def forward(
        sample: torch.Tensor, timestep: torch.Tensor, embedding: torch.Tensor
    ) -> torch.Tensor:
        return inner(sample.half(), timestep, embedding.half()).float()

    # Replacing forward, rather than wrapping, keeps the state dict's names in the graph.
    half.forward = forward
    return half
