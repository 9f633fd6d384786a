"""Choice of the loader for a SOURCE on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from onnx_export.sources.diffusers_folder import DiffusersFolder, clap_audio_model
from onnx_export.sources.original_checkpoint import OriginalCheckpoint, clap_audio_encoder
from onnx_export.sources.source import Source
from onnx_export.sources.tokenizer import ROBERTA
from server.checkpoints.architecture import Heads
from server.checkpoints.manifest import AUDIOLDM_LICENCE
from server.errors import ModelError, NotFound

__all__ = ["SourceOptions", "open_source"]

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Facts that a checkpoint does not contain; see ``audioldm-export --help``."""

    clap: str = ""
    tokenizer: str = ROBERTA
    heads: Heads | None = None
    ema: bool = True
    licence: str = AUDIOLDM_LICENCE
    trust_pickle: bool = False


def open_source(where: str, options: SourceOptions) -> Source:
    """The checkpoint at ``where``: a file, a folder, or a repository on the Hugging Face Hub.

    Raises:
        NotFound: neither a path nor a repository id.
        ModelError: something is there, but it is not AudioLDM.
    """
    path = Path(where)
    if path.is_file():
        return OriginalCheckpoint(
            path=path,
            tokenizer_source=options.tokenizer,
            licence=options.licence,
            ema=options.ema,
            heads=options.heads or "original",
            trust=options.trust_pickle,
        )
    if not path.is_dir() and not HUB_ID.fullmatch(where):
        raise NotFound(f"{where}: no such checkpoint, folder or Hub repository")
    return DiffusersFolder(
        path=path if path.is_dir() else _download(where),
        audio_encoder=_audio_encoder(options),
        licence=options.licence,
        heads=options.heads,
        name=where if not path.is_dir() else "",
    )


def _audio_encoder(options: SourceOptions) -> Callable[[], torch.nn.Module] | None:
    if not options.clap:
        return None
    path = Path(options.clap)
    if path.is_file():
        return partial(clap_audio_encoder, path, trust=options.trust_pickle)
    return partial(clap_audio_model, options.clap)


def _download(repository: str) -> Path:
    """A Hub repository in the local cache."""
    from diffusers import AudioLDMPipeline

    try:
        return Path(AudioLDMPipeline.download(repository))
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(f"{repository} cannot be fetched from the Hub: {reason}") from error
