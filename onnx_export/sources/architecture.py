"""AudioLDM's networks of a given size, with random weights.

The networks are the classes of diffusers and transformers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from server.checkpoints.architecture import Architecture

__all__ = ["build_network"]


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
            layer_norm_eps=sizes.text_epsilon,
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
