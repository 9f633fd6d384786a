"""From the trained stage to the model folder ``models/air``."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from onnx_export.graphs.files import save_graph
from onnx_export.graphs.signatures import Signature
from onnx_export.graphs.tracing import export_graph
from server.fullband.analysis import FRAMES_A_STEP, NUM_BANDS, NUM_FEATURES
from server.fullband.upper_band import GRAPH
from training.fullband.network import UpperBandNetwork
from training.sounds.credits import credits_text

__all__ = ["export_fullband"]

LICENCE: Final = "Apache-2.0; credits of the training sounds in CREDITS.md"


class _Exported(nn.Module):
    """The network with the share of overtones instead of its logit."""

    def __init__(self, network: UpperBandNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Relative log power and share of overtones."""
        power, logit = self.network(features)
        return power, torch.sigmoid(logit)


def export_fullband(
    network: UpperBandNetwork,
    entries: Sequence[dict[str, Any]],
    folder: Path,
    *,
    card: Path | None = None,
    notices: str = "",
) -> None:
    """Write the model folder of ``network``, with the credits of its sounds.

    Args:
        network: the averaged weights.
        entries: manifest lines of the sounds that it learned from.
        folder: to write; its other files stay.
        card: ``MODEL_CARD.md`` to put into the folder.
        notices: licence texts that have to travel with the weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    module = _Exported(network.eval().cpu())
    example = torch.zeros(1, 4 * FRAMES_A_STEP, NUM_FEATURES)
    signature = Signature(
        {"features": example},
        ("log_power", "overtone_share"),
        {name: {1: "frames"} for name in ("features", "log_power", "overtone_share")},
    )
    with tempfile.TemporaryDirectory() as scratch:
        save_graph(export_graph(module, signature, Path(scratch)), folder / GRAPH)
    (folder / "CREDITS.md").write_text(credits_text(entries), "utf-8")
    if notices:
        (folder / "NOTICES.txt").write_text(notices, "utf-8")
    if card is not None:
        (folder / "MODEL_CARD.md").write_text(card.read_text("utf-8"), "utf-8")
    (folder / "manifest.json").write_text(_manifest(folder), "utf-8")


def _manifest(folder: Path) -> str:
    graph = (folder / GRAPH).read_bytes()
    values = {
        "name": folder.name,
        "licence": LICENCE,
        "features": NUM_FEATURES,
        "bands": NUM_BANDS,
        "files": {GRAPH: {"size": len(graph), "sha256": hashlib.sha256(graph).hexdigest()}},
    }
    return json.dumps(values, indent=2) + "\n"
