"""Parity of a model folder's graphs with the torch networks that they were exported from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from onnx_export.graphs.signatures import Signature, signatures
from onnx_export.sources.source import Source, component
from server.errors import InvalidRequest
from server.model.manifest import Manifest
from server.model.session import Graph, default_threads, providers_for

__all__ = ["HEADER", "TOLERANCE", "Comparison", "compare", "compare_component"]

TOLERANCE: Final = {"fp32": 1e-4, "fp16": 1e-2, "fp16-weights": 1e-2, "int8-weights": 5e-2}
"""Largest relative L2 error of a component, by the precision of the folder."""
HEADER: Final = f"{'component':<15}{'output':<12}{'shape':<20}{'relative L2':>12}{'max |d|':>12}"


@dataclass(frozen=True)
class Comparison:
    """One output of one graph against torch, on one shape of input."""

    component: str
    output: str
    shape: tuple[int, ...]
    relative_error: float
    """``|onnx - torch| / |torch|`` in the L2 norm."""
    largest_difference: float

    def line(self, tolerance: float) -> str:
        """One row under :data:`HEADER`, marked where the error exceeds ``tolerance``."""
        # Written so that NaN counts as above.
        verdict = "" if self.relative_error <= tolerance else f"  above {tolerance:g}"
        shape = "x".join(map(str, self.shape))
        return (
            f"{self.component:<15}{self.output:<12}{shape:<20}"
            f"{self.relative_error:>12.2e}{self.largest_difference:>12.2e}{verdict}"
        )


def compare(folder: Path, source: Source) -> Iterator[Comparison]:
    """Compare every component of ``folder`` with ``source``, on two shapes of input each.

    Raises:
        InvalidRequest: the two manifests differ, so that the graphs cannot be compared.
    """
    manifest = Manifest.load(folder)
    _check_described_alike(manifest, source.manifest)
    for name in manifest.components:
        if name == "vocoder" and manifest.vocoder_cells != source.manifest.vocoder_cells:
            continue  # another model's
        yield from compare_component(folder, manifest, name, component(source, name))


def compare_component(
    folder: Path, manifest: Manifest, name: str, module: torch.nn.Module
) -> Iterator[Comparison]:
    """Compare one graph with ``module`` on a long single input and a short batch of three.

    Neither is the shape that the graph was traced with.
    """
    graph = Graph(folder / f"{name}.onnx", providers_for("cpu"), default_threads())
    multiple = manifest.latent.time_multiple
    for batch, frames in ((1, 3 * multiple), (3, multiple)):
        signature = signatures(manifest, batch=batch, latent_frames=frames)[name]
        yield from _compare(graph, module, name, signature)


def _compare(
    graph: Graph, module: torch.nn.Module, name: str, signature: Signature
) -> Iterator[Comparison]:
    with torch.no_grad():
        expected = module(*signature.inputs.values())
    expected = expected if isinstance(expected, tuple) else (expected,)
    got = graph(**{key: value.numpy() for key, value in signature.inputs.items()})
    for output, ours, theirs in zip(signature.outputs, got, expected, strict=True):
        difference = torch.from_numpy(ours) - theirs
        yield Comparison(
            component=name,
            output=output,
            shape=tuple(ours.shape),
            relative_error=float(difference.norm() / theirs.norm()),
            largest_difference=float(difference.abs().max()),
        )


def _check_described_alike(ours: Manifest, theirs: Manifest) -> None:
    heads = "attention_heads"
    if ours.architecture.get(heads) != theirs.architecture.get(heads):
        raise InvalidRequest(
            f"the folder was made with {ours.architecture.get(heads)} attention heads and this "
            f"source is read with {theirs.architecture.get(heads)}; see --attention-heads"
        )
    for name in ("latent", "schedule", "sample_rate", "hop_length", "num_mels"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        if mine != other:
            raise InvalidRequest(f"the folder has {name} = {mine}, the source {other}")
