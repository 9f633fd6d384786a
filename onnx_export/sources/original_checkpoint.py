"""Original AudioLDM checkpoints (``.ckpt``) and LAION-CLAP checkpoints as networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import tokenizers
import torch

from onnx_export.sources.architecture import build_network
from onnx_export.sources.tokenizer import load_tokenizer
from onnx_export.sources.torch_file import TorchFile
from server.checkpoints.architecture import Architecture, Heads, attention_heads
from server.checkpoints.manifest import audioldm_manifest
from server.checkpoints.original_names import PREFIXES, ema_name, is_constant, original_names
from server.checkpoints.original_sizes import audio_sizes, read_architecture
from server.errors import ModelError
from server.model.manifest import Manifest

__all__ = ["OriginalCheckpoint", "clap_audio_encoder", "fill_network"]


@dataclass(frozen=True)
class OriginalCheckpoint:
    """AudioLDM as its authors published it: unet, VAE, vocoder and CLAP in one file.

    Args:
        path: the ``.ckpt``.
        tokenizer_source: where RoBERTa's is; the checkpoint does not hold it.
        licence: of the weights, in words.
        ema: take the unet's moving average, as the authors do, where the file has one.
        heads: see :func:`server.checkpoints.architecture.attention_heads`.
        trust: unpickle arbitrary objects, which can run code.

    Reading any of its properties raises ModelError where the file is truncated or foreign.
    """

    path: Path
    tokenizer_source: str
    licence: str
    ema: bool = True
    heads: Heads = "original"
    trust: bool = False

    @cached_property
    def file(self) -> TorchFile:
        """The tensors."""
        return TorchFile.read(self.path, trust=self.trust)

    @cached_property
    def sizes(self) -> Architecture:
        """The architecture, read from the shapes."""
        return read_architecture(self.file)

    @property
    def uses_ema(self) -> bool:
        """Whether the unet's weights are the moving averages."""
        return self.ema and ema_name("out.2.weight") in self.file

    @cached_property
    def manifest(self) -> Manifest:
        """Described by the file itself; the scale factor is one of its buffers."""
        kind = "EMA weights" if self.uses_ema else "plain weights, not EMA"
        return audioldm_manifest(
            self.sizes,
            name=self.path.stem,
            source=f"{self.path.name}, an original AudioLDM checkpoint ({kind})",
            licence=self.licence,
            scale_factor=float(self.file["scale_factor"]),
            heads=attention_heads(self.sizes, self.heads),
        )

    @cached_property
    def tokenizer(self) -> tokenizers.Tokenizer:
        """RoBERTa's, checked against the text tower's vocabulary."""
        return load_tokenizer(self.tokenizer_source, self.sizes.vocab_size)

    def network(self, name: str) -> torch.nn.Module:
        """One of the five networks with this file's weights."""
        network = build_network(name, self.sizes, attention_heads(self.sizes, self.heads))
        levels = len(self.sizes.unet_channels if name == "unet" else self.sizes.vae_channels)
        prefix = PREFIXES[name]
        moving_average = name == "unet" and self.uses_ema
        locate = ema_name if moving_average else prefix.__add__
        return fill_network(network, name, levels, self.file, locate)


def clap_audio_encoder(path: Path, *, trust: bool = False) -> torch.nn.Module:
    """The audio tower of a LAION-CLAP checkpoint without feature fusion.

    Raises:
        ModelError: the file is no such checkpoint.
    """
    file = TorchFile.read(path, trust=trust)
    wrapped = any(name.startswith("module.audio_branch.") for name in file.tensors)
    prefix = "module." if wrapped else ""
    sizes = Architecture(**audio_sizes(file, prefix))
    network = build_network("audio_encoder", sizes, [])
    return fill_network(network, "audio_encoder", 0, file, prefix.__add__)


def fill_network(
    network: torch.nn.Module,
    name: str,
    levels: int,
    file: TorchFile,
    locate: Callable[[str], str],
) -> torch.nn.Module:
    """Copy the original's tensors into ``network``, which was built to their sizes.

    Args:
        network: what to fill.
        name: which network it is.
        levels: its resolution levels.
        file: the checkpoint.
        locate: where a tensor of the original stands in the file.

    Raises:
        ModelError: a tensor is missing or has another number of elements.
    """
    target = network.state_dict()
    for key, origin in original_names(name, list(target), levels).items():
        place = locate(origin.name)
        if place not in file and is_constant(key):
            continue
        whole = file[place]
        value = whole if origin.part is None else whole.chunk(3)[origin.part]
        # The VAE's attention is a 1x1 convolution in the original and linear here.
        if value.numel() != target[key].numel():
            shapes = f"{list(value.shape)} instead of {list(target[key].shape)}"
            raise ModelError(f"{file.path}: {place} has shape {shapes}")
        target[key].copy_(value.reshape(target[key].shape))
    return network
