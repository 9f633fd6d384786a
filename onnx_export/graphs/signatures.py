"""Names, example inputs and dynamic axes of the graphs, derived from a manifest."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import torch

from server.model.manifest import Manifest
from server.requests.notation import Notation

__all__ = ["Signature", "signatures"]

BATCH = "batch"


@dataclass(frozen=True, eq=False)
class Signature:
    """What one graph takes and returns; see the table in :mod:`server.model.manifest`."""

    inputs: dict[str, torch.Tensor]
    outputs: tuple[str, ...]
    dynamic_axes: dict[str, dict[int, str]]
    defaults: dict[str, torch.Tensor] = field(default_factory=dict)
    """Values of the inputs that may be left out."""


def signatures(
    manifest: Manifest, *, batch: int = 2, latent_frames: int = 0
) -> dict[str, Signature]:
    """The signature of every component, by name.

    Args:
        manifest: sizes of the model.
        batch: rows of the example inputs.
        latent_frames: latent frames of the example inputs, a multiple of
            ``latent.time_multiple``; 0 takes the two smallest of them together.
    """
    draw = torch.Generator().manual_seed(0)
    randn = partial(torch.randn, generator=draw)
    latent = manifest.latent
    frames = latent_frames or 2 * latent.time_multiple
    mel_frames = frames * latent.time_factor
    samples = mel_frames * manifest.hop_length
    tokenizer = manifest.tokenizer
    shape = batch, tokenizer.pad_multiple
    ids = torch.randint(3, tokenizer.vocab_size, shape, generator=draw)
    mask = torch.ones_like(ids)
    ids[-1, -3:], mask[-1, -3:] = tokenizer.pad_id, 0
    z = randn(batch, latent.channels, frames, latent.mel_bins)
    embedding = torch.nn.functional.normalize(randn(batch, manifest.embedding_dim), dim=-1)
    condition = embedding
    if manifest.notation:
        notation = torch.tensor(Notation(note=60.0, bpm=120.0).columns(1.0)).expand(batch, -1)
        condition = torch.cat((embedding, notation), dim=-1)
    log_mel = randn(batch, mel_frames, manifest.num_mels) * 2 - 5
    waveform = randn(batch, samples) * 0.1
    tokens = {0: BATCH, 1: "tokens"}
    clip = randn(batch, _clip_length(manifest, samples)) * 0.1
    any_length = manifest.audio_encoder.num_samples is None
    clip_axes = {0: BATCH, 1: "samples"} if any_length else {0: BATCH}
    time = {0: BATCH, 2: "latent_frames"}
    mels = {0: BATCH, 1: "mel_frames"}
    found = {
        "text_encoder": Signature(
            {"input_ids": ids, "attention_mask": mask},
            ("embedding",),
            {"input_ids": tokens, "attention_mask": tokens, "embedding": {0: BATCH}},
        ),
        "audio_encoder": Signature(
            {"waveform": clip}, ("embedding",), {"waveform": clip_axes, "embedding": {0: BATCH}}
        ),
        "vae_encoder": Signature(
            {"waveform": waveform},
            ("mean", "logvar"),
            {"waveform": {0: BATCH, 1: "samples"}, "mean": time, "logvar": time},
        ),
        "unet": Signature(
            {"sample": z, "timestep": torch.linspace(1, 981, batch), "embedding": condition},
            ("prediction",),
            {"sample": time, "timestep": {0: BATCH}, "embedding": {0: BATCH}, "prediction": time},
        ),
        "vae_decoder": Signature({"latent": z}, ("log_mel",), {"latent": time, "log_mel": mels}),
        "vocoder": _vocoder(log_mel, mels, manifest.vocoder_cells),
        "listener": Signature(
            {"log_mel": log_mel}, ("embedding",), {"log_mel": mels, "embedding": {0: BATCH}}
        ),
    }
    return {name: found[name] for name in manifest.components}


def _vocoder(log_mel: torch.Tensor, mels: dict[int, str], cells: int) -> Signature:
    """With phases to go on from and to go on with, where it has ``cells``."""
    axes = {"log_mel": mels, "waveform": {0: BATCH, 1: "samples"}}
    if not cells:
        return Signature({"log_mel": log_mel}, ("waveform",), axes)
    defaults = {
        "phase": first_phases(cells),
        "start": torch.zeros(1, dtype=torch.int64),
        "drift": torch.zeros(1, cells),
    }
    rows = {"phase": {0: "phase_rows"}, "drift": {0: "drift_rows"}, "amplitude": mels}
    outputs = ("waveform", "phases", "amplitude")
    return Signature(
        {"log_mel": log_mel, **defaults}, outputs, axes | rows | {"phases": mels}, defaults
    )


def first_phases(cells: int) -> torch.Tensor:
    """Phases ``[1, cells]`` to begin with, in cycles, spread so that peaks do not add up.

    Multiples of the golden ratio, which are never near one another.
    """
    return (torch.arange(cells).double() * 0.6180339887498949 % 1.0).float()[None]


def _clip_length(manifest: Manifest, samples: int) -> int:
    """Samples for the audio encoder that last as long as ``samples`` of the model's own rate."""
    wanted = manifest.audio_encoder
    if wanted.num_samples is not None:
        return wanted.num_samples
    return round(samples * wanted.sample_rate / manifest.sample_rate)
