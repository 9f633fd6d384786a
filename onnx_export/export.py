"""Components in torch -> a model folder of ONNX graphs.

The folder is written beside its final place and renamed at the end, so that a failed export
leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from onnx_export.components import Components
from server.manifest import Manifest

__all__ = ["Precision", "write_model_folder"]

Precision = Literal["fp32", "fp16", "fp16-weights", "int8-weights"]


def write_model_folder(
    folder: Path,
    components: Components,
    manifest: Manifest,
    *,
    precision: Precision = "fp32",
    extra_files: Mapping[str, Path] | None = None,
) -> Manifest:
    """Export ``components`` as the model folder ``folder``."""
    raise NotImplementedError
