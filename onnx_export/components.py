"""The torch modules behind a model folder, with the signatures of the manifest's table.

``forward`` of each module takes and returns exactly what :mod:`server.model.manifest` lists, in
that order. In particular ``audio_encoder`` and ``vae_encoder`` take *waveforms* (the mel front end
is part of the graph), ``vae_encoder`` returns ``(mean, logvar)`` before the scale factor, and
``unet`` takes its timestep as float32 [B].
"""

from __future__ import annotations

from dataclasses import dataclass

import tokenizers
import torch

from server.model.manifest import COMPONENTS, LISTENER

__all__ = ["Components"]


@dataclass(frozen=True, eq=False)
class Components:
    """A whole model in torch, ready for :func:`onnx_export.export.write_model_folder`."""

    text_encoder: torch.nn.Module
    audio_encoder: torch.nn.Module
    vae_encoder: torch.nn.Module
    unet: torch.nn.Module
    vae_decoder: torch.nn.Module
    vocoder: torch.nn.Module
    tokenizer: tokenizers.Tokenizer
    listener: torch.nn.Module | None = None

    def modules(self) -> dict[str, torch.nn.Module]:
        """The modules by the name of their graph, in the manifest's order."""
        found = {name: getattr(self, name) for name in (*COMPONENTS, LISTENER)}
        return {name: module for name, module in found.items() if module is not None}
