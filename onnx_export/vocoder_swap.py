"""A model folder with the vocoder of another; torch is not needed.

Any log-mel of AudioLDM's kind can be played by the built-in model's vocoder, which holds its
notes better than a small HiFi-GAN and costs a fraction of AudioLDM's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from server.errors import InvalidRequest
from server.model.folder import seal, staging_folder
from server.model.manifest import Manifest

__all__ = ["with_vocoder"]

GRAPH = "vocoder.onnx"
MEL = ("sample_rate", "hop_length", "num_mels")


def with_vocoder(folder: Path, target: Path, donor: Path) -> Manifest:
    """Write ``folder`` with the vocoder of the model folder ``donor`` to ``target``.

    The credits of the donor's weights come along.

    Raises:
        InvalidRequest: the two have different spectrograms, or ``target`` is something else.
        ModelError: one of them is no model folder.
    """
    manifest, other = Manifest.load(folder), Manifest.load(donor)
    for name in MEL:
        mine, theirs = getattr(manifest, name), getattr(other, name)
        if mine != theirs:
            raise InvalidRequest(f"{name} is {mine} in {folder} and {theirs} in {donor}")
    with staging_folder(target) as staging:
        for name in manifest.files:
            if name not in (GRAPH, f"{GRAPH}.data"):
                shutil.copyfile(folder / name, staging / name)
        for name in {GRAPH, f"{GRAPH}.data"} & other.files.keys():
            shutil.copyfile(donor / name, staging / name)
        for name in {"CREDITS.md", "NOTICES.txt"} & other.files.keys():
            shutil.copyfile(donor / name, staging / f"VOCODER_{name}")
        weights = {name: n for name, n in manifest.weights_bytes.items() if name != "vocoder"}
        manifest = msgspec.structs.replace(
            manifest,
            weights_bytes=weights,
            vocoder_cells=other.vocoder_cells,
            licence=f"{manifest.licence}; vocoder: {other.licence}",
            source=f"{manifest.source}; vocoder of {other.name}",
            attribution=tuple(dict.fromkeys((*manifest.attribution, *other.attribution))),
        )
        return seal(staging, manifest, manifest.precision)
