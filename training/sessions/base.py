"""A run folder whose earlier stages are those of a finished model."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn

from onnx_export.components import Components
from training.folder import load_folder
from training.networks.clap import Clap
from training.run_folder import STANDARDISED
from training.settings import Settings

__all__ = ["SETTINGS", "start_run", "write_settings"]

SETTINGS = "settings.yaml"


def start_run(model: Path, run: Path) -> tuple[Settings, dict[str, Tensor]]:
    """Write text tower, CLAP, VAE and vocoder of the model folder ``model`` into ``run``.

    Returns:
        the model's settings, and the weights of its denoiser.

    Raises:
        ModelError: ``model`` was not made by ``audioldm-train``.
    """
    _, settings, modules = load_folder(model)
    _average(modules.text_encoder.encoder, run / "text")
    modules.tokenizer.save(str(run / "text" / "tokenizer.json"))
    _average(_clap(modules), run / "clap")
    _average(modules.vocoder, run / "vocoder")
    (run / "vae").mkdir(parents=True, exist_ok=True)
    parts = {"encoder": modules.vae_encoder.encoder, "decoder": modules.vae_decoder}
    save_file(nn.ModuleDict(parts).state_dict(), run / "vae" / STANDARDISED)
    write_settings(settings, run)
    return settings, modules.unet.state_dict()


def write_settings(settings: Settings, run: Path) -> None:
    """Write ``settings`` as a configuration for ``audioldm-train export --config``."""
    plain = msgspec.to_builtins(settings)
    (run / SETTINGS).write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")


def _clap(modules: Components) -> Clap:
    clap = Clap()
    clap.audio.load_state_dict(modules.audio_encoder.tower.state_dict())
    clap.text.load_state_dict(modules.text_encoder.head.state_dict())
    return clap


def _average(network: nn.Module, folder: Path) -> None:
    """A checkpoint of averaged weights alone, which later stages read."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"average": network.state_dict()}, folder / "last.pt")
