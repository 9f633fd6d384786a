"""Templates: AudioLDM's graphs without the weights that a checkpoint holds.

``models/templates.tar.xz`` has two files for each template: ``NAME.onnx``, whose weights have a
type and a shape but no values, and ``NAME.json``, which says what each weight is called in the
state dict. ``audioldm-export templates`` makes it.
"""

from __future__ import annotations

import hashlib
import lzma
import tarfile
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Final

import msgspec

from server.checkpoints.architecture import Architecture
from server.errors import ModelError
from server.extras import install_again, install_extra

__all__ = ["Template", "TemplateInfo", "Templates", "built_in_templates", "template_name"]

_SIZES: Final = {
    "text_encoder": (
        *("text_layers", "text_channels", "text_intermediate", "text_head_channels"),
        *("text_positions", "text_epsilon", "vocab_size", "embedding_dim"),
    ),
    "audio_encoder": ("audio_channels", "audio_depths", "audio_head_channels", "embedding_dim"),
    "vae_encoder": ("vae_channels", "latent_channels", "num_mels", "vocoder_upsample_rates"),
    "unet": ("unet_channels", "latent_channels", "embedding_dim"),
    "vae_decoder": ("vae_channels", "latent_channels", "num_mels"),
    "vocoder": (
        *("num_mels", "vocoder_channels", "vocoder_upsample_rates"),
        *("vocoder_upsample_kernels", "vocoder_resblock_kernels"),
    ),
}
"""What each graph depends on."""


class TemplateInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a template's weights, by the names of its initializers."""

    weights: dict[str, str]
    """Name in the state dict of the network."""
    storable: tuple[str, ...]
    """Those that may be stored in fewer bytes."""
    axes: dict[str, int]
    """The axis of the output channels, where there is one."""


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """One graph without its weights."""

    component: str
    graph: bytes
    """A serialized ModelProto."""
    info: TemplateInfo


class Templates:
    """The archive of templates at ``path``, read at the first use."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(
        self, component: str, sizes: Architecture, heads: list[int], *, half: bool = False
    ) -> Template:
        """The template of ``component`` for a model of these sizes.

        Raises:
            ModelError: there is none, or the archive cannot be read.
        """
        name = template_name(component, sizes, heads, half=half)
        if f"{name}.onnx" not in self._files:
            wanted = {field: getattr(sizes, field) for field in _SIZES[component]}
            raise ModelError(
                f"there is no template of {component} for {wanted}; export this checkpoint with "
                f"torch and audioldm-export, {install_extra('export')}"
            )
        info = msgspec.json.decode(self._files[f"{name}.json"], type=TemplateInfo)
        return Template(component=component, graph=self._files[f"{name}.onnx"], info=info)

    @cached_property
    def _files(self) -> dict[str, bytes]:
        try:
            with tarfile.open(self.path, "r:xz") as archive:
                found = ((member, archive.extractfile(member)) for member in archive)
                return {member.name: file.read() for member, file in found if file}
        except (OSError, tarfile.TarError, lzma.LZMAError) as error:
            raise ModelError(f"{self.path} cannot be read ({error}); {install_again()}") from error


def built_in_templates() -> Templates:
    """The templates that ship with the package."""
    return Templates(Path(str(files("models"))) / "templates.tar.xz")


def template_name(
    component: str, sizes: Architecture, heads: list[int], *, half: bool = False
) -> str:
    """The name of a template: the component, and a digest of the sizes that it depends on."""
    facts = [getattr(sizes, field) for field in _SIZES[component]]
    if component == "unet":
        facts += [heads, half]
    return f"{component}-{hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:12]}"
