"""The interface of a source: what each loader gives to the exporter."""

from __future__ import annotations

from typing import Protocol

import tokenizers
import torch

from onnx_export.sources.audioldm import NETWORK_OF, as_component
from server.model.manifest import Manifest

__all__ = ["Source", "component"]


class Source(Protocol):
    """A checkpoint whose networks are loaded one at a time."""

    @property
    def manifest(self) -> Manifest:
        """The manifest, without the list of files."""
        ...

    @property
    def tokenizer(self) -> tokenizers.Tokenizer:
        """The tokenizer of the text encoder."""
        ...

    def network(self, name: str) -> torch.nn.Module:
        """``unet``, ``vae``, ``vocoder``, ``text_encoder`` or ``audio_encoder``, in eval mode."""
        ...


def component(source: Source, name: str) -> torch.nn.Module:
    """The component ``name`` of ``source``, freshly loaded."""
    return as_component(name, source.network(NETWORK_OF[name]), source.manifest)
