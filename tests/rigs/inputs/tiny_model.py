"""A model folder of a few kilobytes whose renders are meaningful, made with ``onnx.helper``.

The graphs have the signatures in :mod:`server.model.manifest`. An embedding is a spectral profile.
The unet is the exact denoiser of sounds spread around the prompt's profile. The VAE is a cosine
transform of log-mel patches. The vocoder plays one tone for each mel band. So "low hum" sounds low,
CLAP embeds it lower than "high hiss", a take depends on its seed, and a render of milliseconds
tests the whole pipeline. No size equals AudioLDM's, so that code with built-in numbers fails.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from tiny_graphs import (
    CHANNELS,
    DIM,
    HOP,
    MEL_BINS,
    MULTIPLE,
    NUM_MELS,
    PATCH,
    SAMPLE_RATE,
    SCALE_FACTOR,
    Array,
    audio_encoder,
    text_encoder,
    unet,
    vae_decoder,
    vae_encoder,
    vocoder,
)

from server.model.manifest import (
    COMPONENTS,
    AudioEncoderInfo,
    Defaults,
    Latent,
    Manifest,
    NoiseSchedule,
    Prediction,
    Tokenizer,
    describe_file,
)

__all__ = ["PROFILES", "make_tiny_folder"]


_bands = np.arange(NUM_MELS)
PROFILES: dict[str, Array] = {
    "low": _bands < 8,
    "mid": (_bands >= 12) & (_bands < 20),
    "high": _bands >= 24,
    "comb": _bands % 8 < 2,
    "bright": _bands >= 12,
    "dark": _bands < 20,
}
"""Words with a spectrum of their own; any other word has a fixed arbitrary one."""


def make_tiny_folder(folder: Path, prediction: Prediction = "flow") -> Path:
    """Write the model folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    words = _write_tokenizer(folder)
    graphs = {
        "text_encoder": text_encoder(words),
        "audio_encoder": audio_encoder(),
        "vae_encoder": vae_encoder(),
        "unet": unet(prediction),
        "vae_decoder": vae_decoder(),
        "vocoder": vocoder(),
    }
    for name, model in graphs.items():
        onnx.checker.check_model(model)
        onnx.save(model, folder / f"{name}.onnx")
    names = [*(f"{name}.onnx" for name in COMPONENTS), "tokenizer.json"]
    Manifest(
        name=f"tiny-{prediction}",
        licence="Apache-2.0",
        source="made by the tests",
        sample_rate=SAMPLE_RATE,
        hop_length=HOP,
        num_mels=NUM_MELS,
        embedding_dim=DIM,
        null_embedding="zeros",
        latent=Latent(
            channels=CHANNELS,
            mel_bins=MEL_BINS,
            time_factor=PATCH,
            time_multiple=MULTIPLE,
            scale_factor=SCALE_FACTOR,
        ),
        schedule=NoiseSchedule(prediction=prediction),
        tokenizer=Tokenizer(max_length=64, pad_id=0, pad_multiple=8, vocab_size=len(words)),
        audio_encoder=AudioEncoderInfo(sample_rate=SAMPLE_RATE),
        defaults=Defaults(
            sampler="ddim",
            num_inference_steps=4,
            guidance_scale=1.5,
            audio_length_in_s=1.0,
            max_audio_length_in_s=2.56,
        ),
        files={name: describe_file(folder / name) for name in names},
    ).save(folder)
    return folder


def _unit(profile: Array) -> Array:
    centred = profile.astype(np.float64) - profile.mean()
    return centred / np.linalg.norm(centred)


def _words() -> dict[str, Array]:
    rng = np.random.default_rng(5)
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    silent = {"[PAD]": np.zeros(DIM), "[CLS]": np.zeros(DIM)}
    known = {word: 3.0 * _unit(profile) for word, profile in PROFILES.items()}
    pieces = ["[UNK]", *letters, *(f"##{letter}" for letter in letters)]
    return {**silent, **known, **{piece: _unit(rng.random(DIM)) for piece in pieces}}


def _write_tokenizer(folder: Path) -> dict[str, Array]:
    from tokenizers import Tokenizer as Fast
    from tokenizers import models, normalizers, pre_tokenizers, processors

    words = _words()
    ids = {word: index for index, word in enumerate(words)}
    tokenizer = Fast(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", ids["[CLS]"])]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return words
