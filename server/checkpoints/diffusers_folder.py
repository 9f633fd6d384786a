"""AudioLDM as diffusers stores it: a folder with a configuration and weights for each network."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import tokenizers

from server.checkpoints.architecture import Architecture, Heads, attention_heads
from server.checkpoints.checkpoint import audio_tower, read_tensors, tower_sizes
from server.checkpoints.manifest import audioldm_manifest
from server.checkpoints.original_sizes import HEAD_CHANNELS
from server.checkpoints.tensors import StoredTensor, TensorFile
from server.checkpoints.tokenizer import read_tokenizer
from server.errors import ModelError
from server.model.manifest import Manifest

__all__ = [
    "PIPELINE",
    "WEIGHT_FILES",
    "DiffusersWeights",
    "heads_in",
    "read_config",
    "sizes_in",
]

PIPELINE: Final = "AudioLDMPipeline"
WEIGHT_FILES: Final = (
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "diffusion_pytorch_model.bin",
    "pytorch_model.bin",
)
"""What diffusers and transformers call a network's weights, the first choice first."""
_OLD_ATTENTION: Final = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
"""Names in the VAE's attention before diffusers 0.17, which is when AudioLDM was converted."""


@dataclass(frozen=True)
class DiffusersWeights:
    """A folder in the layout of ``AudioLDMPipeline``.

    Args:
        path: the folder, with ``model_index.json``.
        clap: a file with CLAP's audio tower, which the pipeline lacks; None where the folder holds
            one itself, as ``audio_encoder/`` or in a whole ``ClapModel``.
        name: of the model.
        licence: of the weights, in words.
        head_rule: None takes what the folder's configuration says.

    Reading any of its properties raises ModelError where the folder is incomplete or foreign.
    """

    path: Path
    clap: Path | None
    name: str
    licence: str
    head_rule: Heads | None = None

    @cached_property
    def sizes(self) -> Architecture:
        """From the configurations, and from the shapes of the audio tower."""
        sizes: dict[str, Any] = {**tower_sizes(self._tower)}
        return replace(sizes_in(self.path), **sizes)

    @property
    def heads(self) -> list[int]:
        """Heads of every unet level."""
        if self.head_rule is not None:
            return attention_heads(self.sizes, self.head_rule)
        return heads_in(self.path)

    @cached_property
    def manifest(self) -> Manifest:
        """Described by the folder's configurations."""
        tower = "" if self._towers_match else f"; its text tower is not that of {self._tower.path}"
        return audioldm_manifest(
            self.sizes,
            name=self.name,
            source=f"{self.name}, a diffusers {PIPELINE}{tower}",
            licence=self.licence,
            scale_factor=read_config(self.path, "vae")["scaling_factor"],
            heads=self.heads,
        )

    @cached_property
    def tokenizer(self) -> tokenizers.Tokenizer:
        """RoBERTa's, checked against the text tower's vocabulary."""
        return read_tokenizer(self.path / "tokenizer", self.sizes.vocab_size)

    def tensors(self, network: str, names: Iterable[str]) -> dict[str, StoredTensor]:
        """Where the tensors of a network are."""
        if network == "audio_encoder":
            return audio_tower(self._tower, names)
        file = read_tensors(weights_in(self.path / network))
        return {name: file[_present(name, file)] for name in names}

    @cached_property
    def _tower(self) -> TensorFile:
        if self.clap is not None:
            return read_tensors(self.clap)
        own = self.path / "audio_encoder"
        return read_tensors(weights_in(own if own.is_dir() else self.path / "text_encoder"))

    @property
    def _towers_match(self) -> bool:
        """Whether the audio tower was trained with this text tower, as far as one can see."""
        name = "text_projection.linear1.weight"
        if name not in self._tower:
            return True
        ours = self.tensors("text_encoder", [name])[name].read()
        theirs = self._tower[name].read()
        return ours.shape == theirs.shape and bool((ours == theirs).all())


def sizes_in(folder: Path) -> Architecture:
    """The sizes in the configurations of ``folder``; those of the audio tower are the default.

    Raises:
        ModelError: it is no complete ``AudioLDMPipeline``.
    """
    index = read_config(folder, "")
    if index.get("_class_name") != PIPELINE:
        raise ModelError(f"{folder} is a {index.get('_class_name')}, not an {PIPELINE}")
    try:
        return _sizes(*(read_config(folder, name) for name in _CONFIGS))
    except (KeyError, TypeError) as error:
        raise ModelError(f"{folder} has no complete configuration: {error} is missing") from error


_CONFIGS: Final = ("unet", "vae", "vocoder", "text_encoder")


def _sizes(
    unet: dict[str, Any], vae: dict[str, Any], vocoder: dict[str, Any], text: dict[str, Any]
) -> Architecture:
    text = {**text, **text.get("text_config", {})}
    channels = tuple(unet["block_out_channels"])
    return Architecture(
        unet_channels=channels,
        head_channels=HEAD_CHANNELS.get(channels[0], 32),
        latent_channels=unet["in_channels"],
        vae_channels=tuple(vae["block_out_channels"]),
        num_mels=vocoder["model_in_dim"],
        vocoder_channels=vocoder["upsample_initial_channel"],
        vocoder_upsample_rates=tuple(vocoder["upsample_rates"]),
        vocoder_upsample_kernels=tuple(vocoder["upsample_kernel_sizes"]),
        vocoder_resblock_kernels=tuple(vocoder["resblock_kernel_sizes"]),
        text_layers=text["num_hidden_layers"],
        text_channels=text["hidden_size"],
        text_intermediate=text["intermediate_size"],
        text_head_channels=text["hidden_size"] // text["num_attention_heads"],
        text_positions=text["max_position_embeddings"],
        text_epsilon=text.get("layer_norm_eps", 1e-12),
        vocab_size=text["vocab_size"],
        embedding_dim=unet["projection_class_embeddings_input_dim"],
    )


def heads_in(folder: Path) -> list[int]:
    """Heads of every unet level, as the configuration says."""
    config = read_config(folder, "unet")
    heads = config.get("num_attention_heads") or config.get("attention_head_dim", 8)
    return list(heads) if isinstance(heads, list) else [heads] * len(config["block_out_channels"])


def read_config(folder: Path, network: str) -> dict[str, Any]:
    """The configuration of one network, or of the pipeline (``""``).

    Raises:
        ModelError: there is none.
    """
    name = f"{network}/config.json" if network else "model_index.json"
    try:
        return dict(json.loads((folder / name).read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{folder} is no complete diffusers folder: {name} cannot be read ({error})"
        ) from error


def weights_in(folder: Path) -> Path:
    """The file of a network's weights.

    Raises:
        ModelError: there is none.
    """
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(f"{folder} holds no weights; there must be one of {', '.join(WEIGHT_FILES)}")


def _present(name: str, file: TensorFile) -> str:
    """``name``, or what it was called by earlier versions of diffusers."""
    if name in file:
        return name
    for new, old in _OLD_ATTENTION.items():
        if f".{new}." in name:
            return name.replace(f".{new}.", f".{old}.")
    return name
