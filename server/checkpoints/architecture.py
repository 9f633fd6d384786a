"""The sizes of AudioLDM's networks: the S, M and L of the paper, and narrower ones for tests."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

__all__ = ["VARIANTS", "Architecture", "Heads", "attention_heads"]

Heads = Literal["original", "diffusers"]
DIFFUSERS_HEADS: Final = 8


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Every size that a checkpoint may vary; the defaults are those of AudioLDM-S."""

    unet_channels: tuple[int, ...] = (128, 256, 384, 640)
    head_channels: int = 32
    latent_channels: int = 8
    vae_channels: tuple[int, ...] = (128, 256, 512)
    num_mels: int = 64
    vocoder_channels: int = 1024
    vocoder_upsample_rates: tuple[int, ...] = (5, 4, 2, 2, 2)
    vocoder_upsample_kernels: tuple[int, ...] = (16, 16, 8, 4, 4)
    vocoder_resblock_kernels: tuple[int, ...] = (3, 7, 11)
    text_layers: int = 12
    text_channels: int = 768
    text_intermediate: int = 3072
    text_head_channels: int = 64
    text_positions: int = 514
    text_epsilon: float = 1e-5
    """Of the layer norms, as RoBERTa was trained; some configurations on the Hub say 1e-12."""
    vocab_size: int = 50265
    audio_channels: int = 96
    audio_depths: tuple[int, ...] = (2, 2, 6, 2)
    audio_head_channels: int = 24
    embedding_dim: int = 512

    @property
    def hop_length(self) -> int:
        """Audio samples a mel frame."""
        hop = 1
        for rate in self.vocoder_upsample_rates:
            hop *= rate
        return hop

    @property
    def time_factor(self) -> int:
        """Mel frames a latent frame; also mel bands a latent bin."""
        return 1 << len(self.vae_channels) - 1

    @property
    def time_multiple(self) -> int:
        """Latent frames that the unet halves on its way down without a rest."""
        return 1 << len(self.unet_channels) - 1

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        return asdict(self)


VARIANTS: Final = {
    "s": Architecture(),
    "m": Architecture(
        unet_channels=(192, 384, 576, 960),
        audio_channels=128,
        audio_depths=(2, 2, 12, 2),
        audio_head_channels=32,
    ),
    "l": Architecture(unet_channels=(256, 512, 768, 1280), head_channels=64),
}


def attention_heads(architecture: Architecture, heads: Heads) -> list[int]:
    """Heads of every unet level.

    ``original``: as many as keep ``head_channels`` channels each, which is how AudioLDM was
    trained. ``diffusers``: 8 everywhere, which is how diffusers' pipelines run the converted
    weights, because the conversion left the field at its default.
    """
    if heads == "diffusers":
        return [DIFFUSERS_HEADS] * len(architecture.unet_channels)
    return [channels // architecture.head_channels for channels in architecture.unet_channels]
