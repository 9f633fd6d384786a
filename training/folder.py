"""A model folder made by ``audioldm-train export``, read back into torch modules."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from torch import Tensor, nn

from onnx_export.components import Components
from server.errors import ModelError
from server.model.manifest import Manifest
from training.networks.autoencoder import MelVae, WaveEncoder
from training.networks.build import build_autoencoder, build_denoiser, build_vocoder
from training.networks.clap import Clap, TextTower, WaveTower
from training.networks.listener import ListenerNetwork
from training.networks.text import SentenceEncoder
from training.settings import Settings

__all__ = ["load_folder", "read_weights"]


def load_folder(folder: Path) -> tuple[Manifest, Settings, Components]:
    """The modules of ``folder`` with its weights, in eval mode, without gradients.

    Raises:
        ModelError: the folder was not made by ``audioldm-train``, or its graphs do not fit.
    """
    manifest = Manifest.load(folder)
    try:
        settings = msgspec.convert(manifest.architecture["training"], Settings)
    except (KeyError, msgspec.ValidationError) as error:
        raise ModelError(f"{folder} was not made by audioldm-train: {error}") from error
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    clap, autoencoder = Clap(), build_autoencoder(settings)
    if not isinstance(autoencoder, MelVae):
        raise ModelError(f"{folder} has a VAE of kind {settings.vae.kind}; only tiny can be tuned")
    modules = Components(
        text_encoder=TextTower(SentenceEncoder(tokenizer.get_vocab_size()), clap.text),
        audio_encoder=WaveTower(clap.audio),
        vae_encoder=WaveEncoder(autoencoder.encoder),
        unet=build_denoiser(settings),
        vae_decoder=autoencoder.decoder,
        vocoder=build_vocoder(settings),
        tokenizer=tokenizer,
        listener=ListenerNetwork().folded() if manifest.listener else None,
    )
    for name, module in modules.modules().items():
        _fill(module, folder / f"{name}.onnx")
    return manifest, settings, modules


def read_weights(path: Path) -> dict[str, Tensor]:
    """The initializers of the graph ``path`` in float32, by the state dict's names."""
    graph = onnx.load(path).graph
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    weights = dict(stored)
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            values, scale = stored[node.input[0]], stored[node.input[1]]
            axis = next(item.i for item in node.attribute if item.name == "axis")
            shape = [-1 if dim == axis % values.ndim else 1 for dim in range(values.ndim)]
            weights[node.input[0]] = values.astype(np.float32) * scale.reshape(shape)
    return {
        name: torch.from_numpy(values.astype(np.float32))
        for name, values in weights.items()
        if values.dtype.kind in "fi"
    }


def _fill(module: nn.Module, path: Path) -> None:
    weights = read_weights(path)
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in weights]
    if missing:
        raise ModelError(f"{path} lacks {missing[0]} and {len(missing) - 1} more weights")
    module.load_state_dict(
        {name: weights[name].reshape(value.shape) for name, value in wanted.items()}
    )
    module.eval().requires_grad_(False)
