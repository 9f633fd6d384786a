"""AudioLDM's networks by their sizes: the S, M and L of the paper, and narrower ones for tests.

The networks are the classes of diffusers and transformers. Two things are decided here and not
there: the layer-norm epsilon of RoBERTa (1e-5), and the number of attention heads (see
:func:`attention_heads`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import torch

__all__ = ["VARIANTS", "Architecture", "Heads", "attention_heads", "build_network"]

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
        return 2 ** (len(self.vae_channels) - 1)

    @property
    def time_multiple(self) -> int:
        """Latent frames that the unet halves on its way down without a rest."""
        return 2 ** (len(self.unet_channels) - 1)

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


def build_network(name: str, sizes: Architecture, heads: list[int]) -> torch.nn.Module:
    """The network ``unet``, ``vae``, ``vocoder``, ``text_encoder`` or ``audio_encoder``.

    Weights are those of the classes' own initialisation.
    """
    build: dict[str, Callable[[], torch.nn.Module]] = {
        "unet": lambda: _unet(sizes, heads),
        "vae": lambda: _vae(sizes),
        "vocoder": lambda: _vocoder(sizes),
        "text_encoder": lambda: _text_encoder(sizes),
        "audio_encoder": lambda: _audio_encoder(sizes),
    }
    return build[name]().eval()


def _unet(sizes: Architecture, heads: list[int]) -> torch.nn.Module:
    from diffusers import UNet2DConditionModel

    levels = len(sizes.unet_channels) - 1
    return UNet2DConditionModel(
        sample_size=128,
        in_channels=sizes.latent_channels,
        out_channels=sizes.latent_channels,
        block_out_channels=sizes.unet_channels,
        layers_per_block=2,
        down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * levels),
        up_block_types=(*["CrossAttnUpBlock2D"] * levels, "UpBlock2D"),
        cross_attention_dim=list(sizes.unet_channels),
        attention_head_dim=heads,
        class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=sizes.embedding_dim,
        class_embeddings_concat=True,
    )


def _vae(sizes: Architecture) -> torch.nn.Module:
    from diffusers import AutoencoderKL

    levels = len(sizes.vae_channels)
    return AutoencoderKL(
        in_channels=1,
        out_channels=1,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=sizes.vae_channels,
        layers_per_block=2,
        latent_channels=sizes.latent_channels,
        scaling_factor=1.0,
    )


def _vocoder(sizes: Architecture) -> torch.nn.Module:
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    return SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            model_in_dim=sizes.num_mels,
            sampling_rate=16000,
            upsample_initial_channel=sizes.vocoder_channels,
            upsample_rates=list(sizes.vocoder_upsample_rates),
            upsample_kernel_sizes=list(sizes.vocoder_upsample_kernels),
            resblock_kernel_sizes=list(sizes.vocoder_resblock_kernels),
            resblock_dilation_sizes=[[1, 3, 5] for _ in sizes.vocoder_resblock_kernels],
            normalize_before=False,
        )
    )


def _text_encoder(sizes: Architecture) -> torch.nn.Module:
    from transformers import ClapTextConfig, ClapTextModelWithProjection

    return ClapTextModelWithProjection(
        ClapTextConfig(
            vocab_size=sizes.vocab_size,
            hidden_size=sizes.text_channels,
            num_hidden_layers=sizes.text_layers,
            num_attention_heads=sizes.text_channels // sizes.text_head_channels,
            intermediate_size=sizes.text_intermediate,
            max_position_embeddings=sizes.text_positions,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            projection_dim=sizes.embedding_dim,
        )
    )


def _audio_encoder(sizes: Architecture) -> torch.nn.Module:
    from transformers import ClapAudioConfig, ClapAudioModelWithProjection

    levels = range(len(sizes.audio_depths))
    heads = [sizes.audio_channels * 2**level // sizes.audio_head_channels for level in levels]
    return ClapAudioModelWithProjection(
        ClapAudioConfig(
            patch_embeds_hidden_size=sizes.audio_channels,
            depths=list(sizes.audio_depths),
            num_attention_heads=heads,
            hidden_size=sizes.audio_channels * 2 ** (len(sizes.audio_depths) - 1),
            projection_dim=sizes.embedding_dim,
        )
    )
