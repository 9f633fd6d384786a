"""AudioLDM as its authors published it: unet, VAE, vocoder and CLAP in one ``.ckpt``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import tokenizers

from server.checkpoints.architecture import Architecture, Heads, attention_heads
from server.checkpoints.checkpoint import read_tensors
from server.checkpoints.manifest import audioldm_manifest
from server.checkpoints.original_names import PREFIXES, ema_name, original_names
from server.checkpoints.original_sizes import read_architecture
from server.checkpoints.tensors import StoredTensor, TensorFile
from server.checkpoints.tokenizer import read_tokenizer
from server.model.manifest import Manifest

__all__ = ["OriginalFile"]


@dataclass(frozen=True)
class OriginalFile:
    """An original checkpoint.

    Args:
        path: the ``.ckpt``.
        tokenizer_folder: where RoBERTa's tokenizer is, which the checkpoint lacks.
        licence: of the weights, in words.
        name: of the model; the file's own where it is empty.
        head_rule: see :func:`server.checkpoints.architecture.attention_heads`.

    Reading any of its properties raises ModelError where the file is truncated or foreign.
    """

    path: Path
    tokenizer_folder: Path
    licence: str
    name: str = ""
    head_rule: Heads | None = None

    @cached_property
    def file(self) -> TensorFile:
        """The tensors."""
        return read_tensors(self.path)

    @cached_property
    def sizes(self) -> Architecture:
        """The architecture, read from the shapes."""
        return read_architecture(self.file)

    @property
    def heads(self) -> list[int]:
        """Heads of every unet level; by default, as AudioLDM was trained."""
        return attention_heads(self.sizes, self.head_rule or "original")

    @property
    def uses_ema(self) -> bool:
        """Whether the unet's weights are the moving averages, which the authors use."""
        return ema_name("out.2.weight") in self.file

    @cached_property
    def manifest(self) -> Manifest:
        """Described by the file itself; the scale factor is one of its buffers."""
        kind = "EMA weights" if self.uses_ema else "plain weights, not EMA"
        return audioldm_manifest(
            self.sizes,
            name=self.name or self.path.stem,
            source=f"{self.path.name}, an original AudioLDM checkpoint ({kind})",
            licence=self.licence,
            scale_factor=float(self.file["scale_factor"].read()),
            heads=self.heads,
        )

    @cached_property
    def tokenizer(self) -> tokenizers.Tokenizer:
        """RoBERTa's, checked against the text tower's vocabulary."""
        return read_tokenizer(self.tokenizer_folder, self.sizes.vocab_size)

    def tensors(self, network: str, names: Iterable[str]) -> dict[str, StoredTensor]:
        """Where the tensors of a network are in the file."""
        levels = len(self.sizes.unet_channels if network == "unet" else self.sizes.vae_channels)
        averages = network == "unet" and self.uses_ema
        found = {}
        for name, origin in original_names(network, list(names), levels).items():
            place = ema_name(origin.name) if averages else PREFIXES[network] + origin.name
            tensor = self.file[place]
            found[name] = tensor if origin.part is None else tensor.rows(origin.part, 3)
        return found
