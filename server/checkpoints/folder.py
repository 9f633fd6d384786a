"""A checkpoint as a model folder: graphs from templates, and the checkpoint's files beside them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from server.checkpoints.checkpoint import NETWORK_OF, Checkpoint
from server.checkpoints.graph import Storage, write_graph
from server.checkpoints.templates import Template, Templates
from server.checkpoints.tensors import StoredTensor
from server.model.folder import seal, staging_folder
from server.model.manifest import Manifest, StoredFile, describe_file

__all__ = ["STORAGE", "Precision", "Sums", "convert"]

Precision = Literal["fp32", "fp16", "fp16-weights", "int8-weights"]
Sums = Callable[[Path], StoredFile]
"""Size and checksum of a checkpoint's file."""
STORAGE: Final[dict[str, Storage]] = {
    "fp32": "",
    "fp16": "fp16-weights",
    "fp16-weights": "fp16-weights",
    "int8-weights": "int8-weights",
}
"""How the weights are stored, by the precision of a folder."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One graph to be written: its template, and where its weights are."""

    template: Template
    tensors: Mapping[str, StoredTensor]

    @property
    def files(self) -> set[Path]:
        """The checkpoint's files that hold its weights."""
        return {tensor.path for tensor in self.tensors.values()}


def convert(
    folder: Path,
    checkpoint: Checkpoint,
    templates: Templates,
    *,
    precision: Precision = "fp32",
    sums: Sums = describe_file,
) -> Manifest:
    """Write the model folder ``folder``; it appears when it is complete.

    In fp32 the checkpoint's files are linked into the folder, and the graphs point into them.
    In the other precisions the folder holds smaller copies of the weights.

    Raises:
        InvalidRequest: ``folder`` holds something else than a model folder.
        ModelError: the checkpoint is incomplete, or there is no template for its sizes.
    """
    parts = {name: _part(name, checkpoint, templates, precision) for name in NETWORK_OF}
    described = {path: sums(path) for path in set().union(*(part.files for part in parts.values()))}
    manifest = checkpoint.manifest
    with staging_folder(folder) as staging:
        checkpoint.tokenizer.save(str(staging / "tokenizer.json"), pretty=False)
        locations = _link(staging, parts) if precision == "fp32" else {}
        in_place = {
            name: write_graph(
                part.template,
                part.tensors,
                staging / f"{name}.onnx",
                locations=locations,
                identity=_identity(part, described),
                storage=STORAGE[precision],
            )
            for name, part in parts.items()
        }
        vocabulary = checkpoint.tokenizer.get_vocab_size()
        manifest = msgspec.structs.replace(
            manifest,
            tokenizer=msgspec.structs.replace(manifest.tokenizer, vocab_size=vocabulary),
            flavour="cuda" if precision == "fp16" else "any",
            weights_bytes=in_place,
        )
        known = {name: described[path] for path, name in locations.items()}
        return seal(staging, manifest, precision, known)


def _part(name: str, checkpoint: Checkpoint, templates: Templates, precision: Precision) -> Part:
    half = precision == "fp16" and name == "unet"
    template = templates.find(name, checkpoint.sizes, checkpoint.heads, half=half)
    tensors = checkpoint.tensors(NETWORK_OF[name], template.info.weights.values())
    return Part(template=template, tensors=tensors)


def _link(staging: Path, parts: Mapping[str, Part]) -> dict[Path, str]:
    """Give the files of the checkpoint names in ``staging``; copies where links do not work."""
    users: dict[Path, set[str]] = {}
    for name, part in parts.items():
        for path in part.files:
            users.setdefault(path, set()).add(NETWORK_OF[name])
    locations = {}
    for path, networks in users.items():
        stem = networks.pop() if len(networks) == 1 else "weights"
        locations[path] = f"{stem}{path.suffix}"
        _link_or_copy(path.resolve(), staging / locations[path])
    return locations


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(path, target)


def _identity(part: Part, described: Mapping[Path, StoredFile]) -> str:
    sums = sorted(described[path].sha256 for path in part.files)
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()
