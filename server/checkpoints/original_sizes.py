"""The architecture of an original checkpoint, read from the shapes of its tensors."""

from __future__ import annotations

from typing import Any, Final

from server.checkpoints.architecture import Architecture
from server.checkpoints.original_names import PREFIXES
from server.checkpoints.tensors import Tensors
from server.errors import ModelError

__all__ = ["HEAD_CHANNELS", "audio_sizes", "audio_tower_sizes", "read_architecture"]

VOCODER_RATES: Final = {(16, 16, 8, 4, 4): (5, 4, 2, 2, 2)}
"""Strides do not show in the weights, so they are known by the kernels."""
HEAD_CHANNELS: Final = {256: 64}
"""Channels a head do not show either: AudioLDM-L has 64 of them, every other variant 32."""


def read_architecture(file: Tensors) -> Architecture:
    """Every size of an original AudioLDM checkpoint.

    Raises:
        ModelError: a tensor that determines a size is missing, or the vocoder has unknown strides.
    """
    unet, vae = PREFIXES["unet"], PREFIXES["vae"]
    embedding_dim = file[f"{unet}film_emb.weight"].shape[1]
    blocks = file.walk(unet + "input_blocks.{}.0.out_layers.3.weight", 1, 3)
    channels = tuple(weight.shape[0] for weight in blocks)
    levels = file.walk(vae + "encoder.down.{}.block.0.conv2.weight")
    return Architecture(
        unet_channels=channels,
        head_channels=HEAD_CHANNELS.get(channels[0], 32),
        latent_channels=file[f"{unet}out.2.weight"].shape[0],
        vae_channels=tuple(weight.shape[0] for weight in levels),
        embedding_dim=embedding_dim,
        **_vocoder_sizes(file, PREFIXES["vocoder"]),
        **_text_sizes(file, PREFIXES["text_encoder"] + "text_branch."),
        **audio_sizes(file, PREFIXES["audio_encoder"]),
    )


def _vocoder_sizes(file: Tensors, prefix: str) -> dict[str, Any]:
    channels, num_mels, _ = file[f"{prefix}conv_pre.weight"].shape
    kernels = tuple(weight.shape[2] for weight in file.walk(prefix + "ups.{}.weight"))
    if kernels not in VOCODER_RATES:
        raise ModelError(
            f"{file.path}: a vocoder with the kernels {kernels} is unknown; "
            f"known: {', '.join(map(str, VOCODER_RATES))}"
        )
    blocks = [w.shape[2] for w in file.walk(prefix + "resblocks.{}.convs1.0.weight")]
    return {
        "num_mels": num_mels,
        "vocoder_channels": channels,
        "vocoder_upsample_rates": VOCODER_RATES[kernels],
        "vocoder_upsample_kernels": kernels,
        "vocoder_resblock_kernels": tuple(blocks[: len(blocks) // len(kernels)]),
    }


def _text_sizes(file: Tensors, prefix: str) -> dict[str, Any]:
    layers = list(file.walk(prefix + "encoder.layer.{}.intermediate.dense.weight"))
    vocabulary, channels = file[f"{prefix}embeddings.word_embeddings.weight"].shape
    return {
        "text_layers": len(layers),
        "text_channels": channels,
        "text_intermediate": layers[0].shape[0],
        "text_positions": file[f"{prefix}embeddings.position_embeddings.weight"].shape[0],
        "vocab_size": vocabulary,
    }


def audio_sizes(file: Tensors, prefix: str) -> dict[str, Any]:
    """Sizes of CLAP's audio tower, whose names start with ``prefix``."""
    return audio_tower_sizes(file, f"{prefix}audio_branch.", "norm1", "attn")


def audio_tower_sizes(file: Tensors, prefix: str, norm: str, attention: str) -> dict[str, Any]:
    """The same, where ``norm`` and ``attention`` are the names inside of a block.

    Raises:
        ModelError: it uses feature fusion.
    """
    if f"{prefix}patch_embed.mel_conv2d.weight" in file:
        raise ModelError(f"{file.path} is a CLAP with feature fusion; AudioLDM uses one without")
    stages = prefix + f"layers.{{}}.blocks.0.{norm}.weight"
    depths = [
        len(list(file.walk(f"{prefix}layers.{stage}.blocks.{{}}.{norm}.weight")))
        for stage, _ in enumerate(file.walk(stages))
    ]
    channels = file[f"{prefix}patch_embed.proj.weight"].shape[0]
    table = f"{prefix}layers.0.blocks.0.{attention}.relative_position_bias_table"
    return {
        "audio_channels": channels,
        "audio_depths": tuple(depths),
        "audio_head_channels": channels // file[table].shape[1],
    }
