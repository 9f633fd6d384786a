"""An AudioLDM of the real architecture, narrow enough to export in seconds."""

from __future__ import annotations

from onnx_export.sources.random_source import RandomSource
from server.checkpoints.architecture import Architecture

NARROW = Architecture(
    unet_channels=(32, 64, 96, 160),
    vae_channels=(32, 32, 64),
    vocoder_channels=64,
    text_layers=2,
    text_channels=64,
    text_intermediate=128,
    vocab_size=600,
    audio_channels=24,
    audio_depths=(1, 1, 2, 1),
)


def narrow_source() -> RandomSource:
    """The same weights at every call."""
    return RandomSource(NARROW, "narrow", seed=1)
