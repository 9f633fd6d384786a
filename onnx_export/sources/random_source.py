"""``audioldm-export random``: a source with drawn weights, and ways to keep it as a checkpoint.

The diffusers folder and the original ``.ckpt`` written here hold the same weights as the source,
so that every loader can be compared with every other one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
import torch

from onnx_export.sources.random_model import NETWORKS, random_network, random_tokenizer
from onnx_export.sources.source import Source
from server.checkpoints.architecture import Architecture, Heads, attention_heads
from server.checkpoints.manifest import audioldm_manifest
from server.checkpoints.original_names import (
    EMA_PREFIX,
    PREFIXES,
    ema_name,
    is_constant,
    original_names,
)
from server.model.manifest import Manifest

__all__ = [
    "RandomSource",
    "diffusers_pipeline",
    "write_diffusers_folder",
    "write_original_checkpoint",
]

SCALE_FACTOR = 0.9227914214134216
"""That of the published audioldm-s-full-v2."""


@dataclass(frozen=True)
class RandomSource:
    """Random weights in a real architecture."""

    sizes: Architecture
    name: str
    seed: int = 0
    heads: Heads = "original"

    @cached_property
    def manifest(self) -> Manifest:
        """Says that the weights are random."""
        return audioldm_manifest(
            self.sizes,
            name=self.name,
            source=f"random weights (seed {self.seed}): noise, for measurements only",
            licence="CC0-1.0",
            scale_factor=SCALE_FACTOR,
            heads=self.manifest_heads,
        )

    @property
    def manifest_heads(self) -> list[int]:
        """Heads of every unet level."""
        return attention_heads(self.sizes, self.heads)

    @cached_property
    def tokenizer(self) -> tokenizers.Tokenizer:
        """RoBERTa's layout, but with made-up merges."""
        return random_tokenizer(self.sizes.vocab_size)

    def network(self, name: str) -> torch.nn.Module:
        """Drawn anew at each call, with the same result."""
        return random_network(name, self.sizes, self.manifest_heads, self.seed)


def diffusers_pipeline(source: Source) -> Any:
    """An ``AudioLDMPipeline`` of the source's networks, all in memory."""
    from diffusers import AudioLDMPipeline, DDIMScheduler
    from transformers import RobertaTokenizer

    with tempfile.TemporaryDirectory() as scratch:
        vocabulary, merges = source.tokenizer.model.save(scratch)
        tokenizer = RobertaTokenizer(
            vocab=vocabulary,
            merges=merges,
            model_max_length=source.manifest.tokenizer.max_length,
        )
    vae = source.network("vae")
    vae.register_to_config(scaling_factor=source.manifest.latent.scale_factor)
    schedule = source.manifest.schedule
    return AudioLDMPipeline(
        vae=vae,
        text_encoder=source.network("text_encoder"),
        tokenizer=tokenizer,
        unet=source.network("unet"),
        scheduler=DDIMScheduler(
            num_train_timesteps=schedule.num_train_timesteps,
            beta_start=schedule.beta_start,
            beta_end=schedule.beta_end,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        vocoder=source.network("vocoder"),
    )


def write_diffusers_folder(source: Source, folder: Path) -> None:
    """Save ``source`` in the layout of ``AudioLDMPipeline``.

    The audio tower, which that pipeline lacks, goes into ``audio_encoder/`` beside it.
    """
    diffusers_pipeline(source).save_pretrained(folder)
    source.network("audio_encoder").save_pretrained(folder / "audio_encoder")


def write_original_checkpoint(source: Source, path: Path) -> None:
    """Save ``source`` under the names of an original AudioLDM checkpoint.

    The weights of ``source`` become the EMA weights; the plain ones differ from them by one per
    cent of noise, so that nobody takes the ones for the others unnoticed.
    """
    tensors = dict(_schedule_buffers(source.manifest))
    noise = torch.Generator().manual_seed(0)
    for name in NETWORKS:
        network = source.network(name)
        original = dict(_in_original_layout(network, name, source.manifest))
        if name == "unet":
            tensors |= {ema_name(key): value for key, value in original.items()}
            original = {key: _disturbed(value, noise) for key, value in original.items()}
        tensors |= {PREFIXES[name] + key: value for key, value in original.items()}
    torch.save({"state_dict": tensors}, path)


def _disturbed(tensor: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    noise = torch.randn(tensor.shape, generator=draw)
    return tensor + 0.01 * tensor.std(correction=0) * noise


def _in_original_layout(
    network: torch.nn.Module, name: str, manifest: Manifest
) -> Iterator[tuple[str, torch.Tensor]]:
    sizes = manifest.architecture
    levels = len(sizes["unet_channels"] if name == "unet" else sizes["vae_channels"])
    state = network.state_dict()
    thirds: dict[str, list[torch.Tensor]] = {}
    for key, origin in original_names(name, list(state), levels).items():
        if origin.part is not None:
            thirds.setdefault(origin.name, []).append(state[key])
        elif name == "audio_encoder" or not is_constant(key):
            is_attention = name == "vae" and ".attn_1." in origin.name and state[key].ndim == 2
            yield origin.name, state[key][..., None, None] if is_attention else state[key]
    yield from ((key, torch.cat(parts)) for key, parts in thirds.items())


def _schedule_buffers(manifest: Manifest) -> Iterator[tuple[str, torch.Tensor]]:
    schedule = manifest.schedule
    ends = schedule.beta_start**0.5, schedule.beta_end**0.5
    betas = torch.linspace(*ends, schedule.num_train_timesteps, dtype=torch.float64).square()
    yield "betas", betas.float()
    yield "alphas_cumprod", (1 - betas).cumprod(0).float()
    yield "scale_factor", torch.tensor(manifest.latent.scale_factor)
    yield f"{EMA_PREFIX}decay", torch.tensor(0.9999)
    yield f"{EMA_PREFIX}num_updates", torch.tensor(1_500_000, dtype=torch.int32)
