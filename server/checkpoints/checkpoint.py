"""The interface of a checkpoint: what each reader gives to the writer of a model folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

import tokenizers

from server.checkpoints.architecture import Architecture
from server.checkpoints.original_names import original_names
from server.checkpoints.original_sizes import audio_sizes, audio_tower_sizes
from server.checkpoints.safetensors_file import read_safetensors
from server.checkpoints.tensors import StoredTensor, TensorFile
from server.checkpoints.torch_file import read_torch_file
from server.model.manifest import Manifest

__all__ = ["NETWORK_OF", "Checkpoint", "audio_tower", "read_tensors", "tower_sizes"]

NETWORK_OF: Final = {
    "text_encoder": "text_encoder",
    "audio_encoder": "audio_encoder",
    "vae_encoder": "vae",
    "unet": "unet",
    "vae_decoder": "vae",
    "vocoder": "vocoder",
}
"""Which network each graph is made of."""
_HTSAT: Final = "audio_model.audio_encoder."


class Checkpoint(Protocol):
    """An AudioLDM whose tensors stay in their files."""

    @property
    def manifest(self) -> Manifest:
        """The manifest, without the list of files."""
        ...

    @property
    def sizes(self) -> Architecture:
        """Its architecture."""
        ...

    @property
    def heads(self) -> list[int]:
        """Heads of every unet level."""
        ...

    @property
    def tokenizer(self) -> tokenizers.Tokenizer:
        """The tokenizer of the text encoder."""
        ...

    def tensors(self, network: str, names: Iterable[str]) -> dict[str, StoredTensor]:
        """Where the tensors ``names`` of a network's state dict are.

        Raises:
            ModelError: one is missing.
        """
        ...


def read_tensors(path: Path) -> TensorFile:
    """The tensors of a safetensors or PyTorch file.

    Raises:
        ModelError: it is neither, or it is truncated.
    """
    return read_safetensors(path) if path.suffix == ".safetensors" else read_torch_file(path)


def tower_sizes(file: TensorFile) -> dict[str, object]:
    """Sizes of the audio tower in a CLAP checkpoint of LAION or of transformers.

    Raises:
        ModelError: it holds none, or one with feature fusion.
    """
    if f"{_HTSAT}patch_embed.proj.weight" in file:
        return audio_tower_sizes(file, _HTSAT, "layernorm_before", "attention.self")
    return audio_sizes(file, _laion_prefix(file))


def audio_tower(file: TensorFile, names: Iterable[str]) -> dict[str, StoredTensor]:
    """Where the tensors of an audio tower are in such a checkpoint."""
    if f"{_HTSAT}patch_embed.proj.weight" in file:
        return {name: file[name] for name in names}
    prefix = _laion_prefix(file)
    found = {}
    for name, origin in original_names("audio_encoder", list(names), 0).items():
        tensor = file[prefix + origin.name]
        found[name] = tensor if origin.part is None else tensor.rows(origin.part, 3)
    return found


def _laion_prefix(file: TensorFile) -> str:
    wrapped = any(name.startswith("module.audio_branch.") for name in file.tensors)
    return "module." if wrapped else ""
