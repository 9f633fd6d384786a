"""From a float32 model folder to one with smaller weights, without torch."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import msgspec
import onnx
from tqdm import tqdm

from onnx_export.graphs.files import buffer_names, external_files, load_graph, save_graph
from onnx_export.graphs.precision import WeightStorage, store_weights
from server.errors import InvalidRequest
from server.model.folder import seal, staging_folder
from server.model.manifest import Manifest

__all__ = ["quantise"]


def quantise(folder: Path, target: Path, storage: WeightStorage) -> Manifest:
    """Write ``folder`` with its weights stored as ``storage`` to ``target``.

    Raises:
        InvalidRequest: the folder is not in float32, or ``target`` is not a model folder.
        ModelError: ``folder`` is no model folder.
    """
    manifest = Manifest.load(folder)
    if manifest.precision != "fp32":
        raise InvalidRequest(f"{folder} is {manifest.precision}; start from a fp32 model folder")
    graphs = {f"{name}.onnx" for name in manifest.components}
    external = (external_files(onnx.load(folder / g, load_external_data=False)) for g in graphs)
    replaced = graphs.union(*external)
    with staging_folder(target) as staging:
        for name in manifest.files.keys() - replaced:
            shutil.copyfile(folder / name, staging / name)
        for name in tqdm(sorted(graphs), desc=storage, unit="graph", file=sys.stderr, disable=None):
            graph = load_graph(folder / name)
            store_weights(graph, storage, buffer_names(graph))
            save_graph(graph, staging / name)
        return seal(staging, msgspec.structs.replace(manifest, weights_bytes={}), storage)
