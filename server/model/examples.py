"""Example inputs of the graphs, the same on every machine, and how far outputs are apart."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.model.manifest import Manifest
from server.model.noise import generator
from server.model.session import Graph

__all__ = ["Outputs", "drawn", "example_inputs", "golden_outputs", "picked", "snr_db"]

_PICKED: Final = 128
_NOTATION: Final = np.array([[60.0, 120.0, 2.0]], np.float32)
"""Note, tempo and beats."""

Inputs = dict[str, npt.NDArray[Any]]
Outputs = dict[str, list[float]]
"""Some values of each output."""


def drawn(name: str, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Standard normal values that follow from ``name`` alone."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return generator(seed, 0).standard_normal(tuple(shape), np.float32)


def example_inputs(
    manifest: Manifest, *, batch: int = 2, latent_frames: int = 0
) -> dict[str, Inputs]:
    """Inputs of every component that must be given, by the names in the manifest's table.

    Args:
        manifest: sizes of the model.
        batch: rows.
        latent_frames: a multiple of ``latent.time_multiple``; 0 takes the two smallest of them
            together.
    """
    latent = manifest.latent
    frames = latent_frames or 2 * latent.time_multiple
    mel_frames = frames * latent.time_factor
    samples = mel_frames * manifest.hop_length
    z = drawn("latent", (batch, latent.channels, frames, latent.mel_bins))
    log_mel = drawn("log_mel", (batch, mel_frames, manifest.num_mels)) * 2 - 5
    clip = drawn("clip", (batch, _clip_length(manifest, samples))) * 0.1
    timestep = np.linspace(1, 981, batch, dtype=np.float32)
    found: dict[str, Inputs] = {
        "text_encoder": _tokens(manifest, batch),
        "audio_encoder": {"waveform": clip},
        "vae_encoder": {"waveform": drawn("waveform", (batch, samples)) * 0.1},
        "unet": {"sample": z, "timestep": timestep, "embedding": _condition(manifest, batch)},
        "vae_decoder": {"latent": z},
        "vocoder": {"log_mel": log_mel},
        "listener": {"log_mel": log_mel},
    }
    return {name: found[name] for name in manifest.components}


def golden_outputs(graph: Graph, inputs: Inputs) -> Outputs:
    """Run a graph, and return some values of each of its outputs."""
    found = zip(graph.outputs, graph(**inputs), strict=True)
    return {name: picked(output) for name, output in found}


def picked(output: npt.NDArray[np.float32]) -> list[float]:
    """Values evenly spread over an output, few enough to be stored."""
    flat = output.ravel()
    places = np.linspace(0, flat.size - 1, min(_PICKED, flat.size)).astype(int)
    return [float(f"{value:.9g}") for value in flat[places]]


def snr_db(got: Outputs, golden: Outputs) -> float:
    """Signal-to-noise ratio of the worst output, in dB; -inf where it is no number."""
    return min(_snr_db(got.get(name, ()), values) for name, values in golden.items())


def _snr_db(got: Sequence[float], golden: Sequence[float]) -> float:
    if len(got) != len(golden) or not np.isfinite(got).all():
        return -math.inf
    noise = float(np.linalg.norm(np.subtract(got, golden)))
    signal = float(np.linalg.norm(golden))
    if not noise:
        return math.inf
    return 20 * math.log10(signal / noise) if signal else -math.inf


def _tokens(manifest: Manifest, batch: int) -> Inputs:
    tokenizer = manifest.tokenizer
    draw = np.abs(drawn("tokens", (batch, tokenizer.pad_multiple))) * 1e6
    ids = 3 + draw.astype(np.int64) % (tokenizer.vocab_size - 3)
    mask = np.ones_like(ids)
    ids[-1, -3:], mask[-1, -3:] = tokenizer.pad_id, 0
    return {"input_ids": ids, "attention_mask": mask}


def _condition(manifest: Manifest, batch: int) -> npt.NDArray[np.float32]:
    embedding = drawn("embedding", (batch, manifest.embedding_dim))
    embedding /= np.linalg.norm(embedding, axis=-1, keepdims=True)
    if not manifest.notation:
        return embedding
    return np.concatenate((embedding, _NOTATION.repeat(batch, axis=0)), axis=-1)


def _clip_length(manifest: Manifest, samples: int) -> int:
    """Samples for the audio encoder that last as long as ``samples`` of the model's own rate."""
    wanted = manifest.audio_encoder
    if wanted.num_samples is not None:
        return wanted.num_samples
    return round(samples * wanted.sample_rate / manifest.sample_rate)
