"""Components in torch -> a model folder of ONNX graphs.

The folder is written beside its final place and renamed at the end, so that a failed export
leaves nothing behind.
"""

from __future__ import annotations

import copy
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import torch
from tqdm import tqdm

from onnx_export.components import Components
from onnx_export.graph import OPSET, buffer_names, export_graph, save_graph
from onnx_export.precision import Precision, store_weights
from onnx_export.signatures import signatures
from server.errors import InvalidRequest
from server.manifest import COMPONENTS, Manifest, describe_file

__all__ = ["Precision", "staging_folder", "write_graphs", "write_model_folder"]

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
        components: the six modules and the tokenizer.
        manifest: sizes, schedule, source and licence; ``files``, ``precision``, ``opset`` and
            ``tokenizer.vocab_size`` are filled in here.
        precision: see :mod:`onnx_export.precision`.
        extra_files: more files for the folder (a model card, a licence), by plain file name.

    Returns:
        The manifest as written.

    Raises:
        InvalidRequest: ``folder`` holds something else than a model folder.
    """
    modules = components.modules()
    with staging_folder(folder) as staging:
        for name, path in (extra_files or {}).items():
            shutil.copyfile(path, staging / name)
        components.tokenizer.save(str(staging / "tokenizer.json"))
        vocabulary = components.tokenizer.get_vocab_size()
        tokenizer = msgspec.structs.replace(manifest.tokenizer, vocab_size=vocabulary)
        manifest = msgspec.structs.replace(manifest, tokenizer=tokenizer)
        write_graphs(staging, modules.__getitem__, manifest, precision)
        return seal(staging, manifest, precision)


def write_graphs(
    staging: Path, load: LoadComponent, manifest: Manifest, precision: Precision
) -> None:
    """Write the six graphs into ``staging``, with one component in memory at a time.

    Args:
        staging: an existing folder.
        load: gives a component by name; it is let go before the next one is asked for.
        manifest: sizes for the example inputs.
        precision: see :mod:`onnx_export.precision`.
    """
    wanted = signatures(manifest)
    bar = tqdm(COMPONENTS, desc="export", unit="graph", file=sys.stderr, disable=None)
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


def seal(staging: Path, manifest: Manifest, precision: Precision) -> Manifest:
    """Describe every file of ``staging`` in its manifest, write that, and return it."""
    files = {path.name: describe_file(path) for path in sorted(staging.iterdir())}
    manifest = msgspec.structs.replace(manifest, files=files, precision=precision, opset=OPSET)
    manifest.save(staging)
    return manifest


@contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """A new folder that becomes ``folder`` when the block ends well, and vanishes when not.

    Raises:
        InvalidRequest: ``folder`` exists and is neither empty nor a model folder.
    """
    folder = folder.absolute()
    if folder.exists() and not _replaceable(folder):
        raise InvalidRequest(
            f"{folder} exists and is no model folder; name a new folder or empty this one"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        staging = Path(scratch) / "new"
        staging.mkdir()
        yield staging
        if folder.exists():
            folder.replace(Path(scratch) / "old")
        staging.replace(folder)


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and (
        (folder / "manifest.json").is_file() or next(folder.iterdir(), None) is None
    )
