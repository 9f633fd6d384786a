"""The real architecture with random weights: parity and speed without any download.

Weights are drawn so that signals neither vanish nor explode on their way, because a network that
returns almost nothing would pass every comparison.
"""

from __future__ import annotations

import itertools
from typing import Final

import tokenizers
import torch

from onnx_export.sources.architecture import build_network
from server.checkpoints.architecture import Architecture

__all__ = ["random_network", "random_tokenizer"]

REDRAWN: Final = {"unet": 1.0, "vocoder": 0.9, "audio_encoder": 1.0}
"""Networks whose own initialisation is too small, and the standard deviation of a unit's sum."""
NETWORKS: Final = ("unet", "vae", "vocoder", "text_encoder", "audio_encoder")


def random_network(name: str, sizes: Architecture, heads: list[int], seed: int) -> torch.nn.Module:
    """The network ``name`` with weights that depend on ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed * len(NETWORKS) + NETWORKS.index(name))
        network = build_network(name, sizes, heads)
        if name in REDRAWN:
            _redraw(network, REDRAWN[name])
    return network


@torch.no_grad()
def _redraw(network: torch.nn.Module, gain: float) -> None:
    for layer in network.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.modules.conv._ConvNd):
            layer.weight.normal_(std=gain * _fan_in(layer) ** -0.5)
        if isinstance(layer, torch.nn.BatchNorm2d):
            # Log-mel decibels lie around -30; without this they look all alike.
            layer.running_mean.normal_(-30, 3)
            layer.running_var.uniform_(50, 200)


def _fan_in(layer: torch.nn.Module) -> float:
    """Products that are summed up in one output of ``layer``."""
    weight: torch.Tensor = layer.weight
    if isinstance(layer, torch.nn.ConvTranspose1d):
        return weight.shape[0] * weight.shape[2] / layer.stride[0]
    return weight[0].numel()


def random_tokenizer(vocab_size: int) -> tokenizers.Tokenizer:
    """A byte-level BPE tokenizer laid out as RoBERTa's: ``<s>`` 0, ``<pad>`` 1, ``</s>`` 2.

    It reads any text. Its merges are pairs of letters in alphabetical order, not learned, and
    the vocabulary is filled up to ``vocab_size`` with words that no text contains.
    """
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    letters = "abcdefghijklmnopqrstuvwxyz"
    room = max(0, vocab_size - len(special) - len(alphabet) - 1)
    merges = list(itertools.islice(itertools.product(["Ġ", *letters], letters), room))
    tokens = [*special, *alphabet, *("".join(pair) for pair in merges)]
    fill = [f"<unused{index}>" for index in range(vocab_size - len(tokens) - 1)]
    vocabulary = {token: index for index, token in enumerate([*tokens, *fill, "<mask>"])}
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.post_processor = tokenizers.processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    tokenizer.add_special_tokens([*special, "<mask>"])
    return tokenizer
