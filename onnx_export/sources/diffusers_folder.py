"""AudioLDM as diffusers stores it: a local folder or a repository on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import tokenizers
import torch

from onnx_export.sources.tokenizer import load_tokenizer
from server.checkpoints.architecture import Architecture, Heads, attention_heads
from server.checkpoints.diffusers_folder import PIPELINE, heads_in, read_config, sizes_in
from server.checkpoints.manifest import audioldm_manifest
from server.checkpoints.original_names import is_constant
from server.errors import ModelError
from server.model.manifest import Manifest

__all__ = ["DiffusersFolder", "clap_audio_model", "load_network"]


@dataclass(frozen=True)
class DiffusersFolder:
    """A folder in the layout of ``AudioLDMPipeline``.

    Args:
        path: the folder, with ``model_index.json``.
        audio_encoder: gives CLAP's audio tower, which the pipeline lacks; None where the folder
            holds one itself, as ``audio_encoder/`` or inside a whole ``ClapModel``.
        licence: of the weights, in words.
        heads: None takes what the folder's configuration says; see
            :func:`server.checkpoints.architecture.attention_heads` for the two others.
        name: of the model; the folder's own where empty.
    """

    path: Path
    audio_encoder: Callable[[], torch.nn.Module] | None
    licence: str
    heads: Heads | None = None
    name: str = ""

    def __post_init__(self) -> None:
        sizes_in(self.path)
        if self.audio_encoder is None and not self._has_audio_encoder():
            raise ModelError(
                f"{self.path} holds CLAP's text tower only; name a LAION-CLAP checkpoint or a "
                "transformers ClapModel of the same training with --clap"
            )

    @cached_property
    def sizes(self) -> Architecture:
        """From the configurations; sizes of the audio tower are not among them."""
        return sizes_in(self.path)

    @cached_property
    def attention_heads(self) -> list[int]:
        """Heads of every unet level."""
        if self.heads is not None:
            return attention_heads(self.sizes, self.heads)
        return heads_in(self.path)

    @cached_property
    def manifest(self) -> Manifest:
        """Described by the folder's configurations."""
        manifest = audioldm_manifest(
            self.sizes,
            name=self.name or self.path.name,
            source=f"{self.name or self.path.name}, a diffusers {PIPELINE}",
            licence=self.licence,
            scale_factor=read_config(self.path, "vae")["scaling_factor"],
            heads=self.attention_heads,
        )
        known = manifest.architecture.items()
        architecture = {key: size for key, size in known if not key.startswith("audio_")}
        return msgspec.structs.replace(manifest, architecture=architecture)

    @cached_property
    def tokenizer(self) -> tokenizers.Tokenizer:
        """RoBERTa's, checked against the text tower's vocabulary."""
        return load_tokenizer(str(self.path / "tokenizer"), self.sizes.vocab_size)

    def network(self, name: str) -> torch.nn.Module:
        """One of the five networks with this folder's weights."""
        from diffusers import AutoencoderKL, UNet2DConditionModel
        from transformers import ClapTextModelWithProjection, SpeechT5HifiGan

        if name == "audio_encoder":
            return self.audio_encoder() if self.audio_encoder else self._own_audio_encoder()
        if name == "unet":
            heads = self.attention_heads
            return load_network(UNet2DConditionModel, self.path / name, attention_head_dim=heads)
        classes = {
            "vae": AutoencoderKL,
            "vocoder": SpeechT5HifiGan,
            "text_encoder": ClapTextModelWithProjection,
        }
        return load_network(classes[name], self.path / name)

    def _own_audio_encoder(self) -> torch.nn.Module:
        folder = "audio_encoder" if (self.path / "audio_encoder").is_dir() else "text_encoder"
        return clap_audio_model(str(self.path / folder))

    def _has_audio_encoder(self) -> bool:
        whole_clap = "ClapModel" in read_config(self.path, "text_encoder").get("architectures", ())
        return whole_clap or (self.path / "audio_encoder").is_dir()


def clap_audio_model(where: str) -> torch.nn.Module:
    """CLAP's audio tower out of a transformers ``ClapModel``, a folder or a Hub repository.

    Raises:
        ModelError: there is none, or it uses feature fusion.
    """
    from transformers import ClapAudioModelWithProjection

    network = load_network(ClapAudioModelWithProjection, where)
    if network.config.enable_fusion:
        raise ModelError(f"{where} is a CLAP with feature fusion; AudioLDM uses one without")
    return network


def load_network(network: Any, where: Path | str, **options: Any) -> Any:
    """``network.from_pretrained``, but incomplete weights are an error and not a warning.

    Raises:
        ModelError: nothing there, or not all of it.
    """
    try:
        loaded, report = network.from_pretrained(where, output_loading_info=True, **options)
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(f"{where} cannot be loaded as {network.__name__}: {reason}") from error
    missing = sorted(name for name in report["missing_keys"] if not is_constant(name))
    if missing:
        raise ModelError(
            f"{where} is foreign or incomplete: {missing[0]} and {len(missing) - 1} more of "
            f"{network.__name__}'s tensors are missing"
        )
    return loaded.eval()
