"""The interface of a source: what each loader gives to the exporter."""

from __future__ import annotations

from typing import Protocol

import tokenizers
import torch

from onnx_export.sources.architecture import Architecture
from onnx_export.sources.audioldm import NETWORK_OF, as_component
from server.model.manifest import AudioEncoderInfo, Defaults, Latent, Manifest, Tokenizer

__all__ = ["Source", "audioldm_manifest", "component"]


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


def audioldm_manifest(
    sizes: Architecture,
    *,
    name: str,
    source: str,
    licence: str,
    scale_factor: float,
    heads: list[int],
) -> Manifest:
    """The manifest of an AudioLDM of these sizes.

    ``tokenizer.max_length`` is the text tower's own limit: prompts are padded to a multiple of
    16 tokens only, and padding is masked, so a long limit costs nothing.
    """
    return Manifest(
        name=name,
        licence=licence,
        source=source,
        hop_length=sizes.hop_length,
        num_mels=sizes.num_mels,
        embedding_dim=sizes.embedding_dim,
        null_embedding="empty_prompt",
        latent=Latent(
            channels=sizes.latent_channels,
            mel_bins=sizes.num_mels // sizes.time_factor,
            time_factor=sizes.time_factor,
            time_multiple=sizes.time_multiple,
            scale_factor=scale_factor,
        ),
        tokenizer=Tokenizer(
            max_length=sizes.text_positions - 2, pad_id=1, vocab_size=sizes.vocab_size
        ),
        audio_encoder=AudioEncoderInfo(sample_rate=48000, num_samples=480000),
        defaults=Defaults(),
        architecture={**sizes.as_dict(), "attention_heads": heads},
    )
