"""Names, example inputs and dynamic axes of the graphs, derived from a manifest."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from server.model.examples import example_inputs
from server.model.manifest import Manifest

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
    examples = example_inputs(manifest, batch=batch, latent_frames=latent_frames)
    inputs = {
        name: {key: torch.from_numpy(value) for key, value in arrays.items()}
        for name, arrays in examples.items()
    }
    tokens = {0: BATCH, 1: "tokens"}
    any_length = manifest.audio_encoder.num_samples is None
    clip_axes = {0: BATCH, 1: "samples"} if any_length else {0: BATCH}
    time = {0: BATCH, 2: "latent_frames"}
    mels = {0: BATCH, 1: "mel_frames"}
    found = {
        "text_encoder": Signature(
            inputs["text_encoder"],
            ("embedding",),
            {"input_ids": tokens, "attention_mask": tokens, "embedding": {0: BATCH}},
        ),
        "audio_encoder": Signature(
            inputs["audio_encoder"],
            ("embedding",),
            {"waveform": clip_axes, "embedding": {0: BATCH}},
        ),
        "vae_encoder": Signature(
            inputs["vae_encoder"],
            ("mean", "logvar"),
            {"waveform": {0: BATCH, 1: "samples"}, "mean": time, "logvar": time},
        ),
        "unet": Signature(
            inputs["unet"],
            ("prediction",),
            {"sample": time, "timestep": {0: BATCH}, "embedding": {0: BATCH}, "prediction": time},
        ),
        "vae_decoder": Signature(
            inputs["vae_decoder"], ("log_mel",), {"latent": time, "log_mel": mels}
        ),
        "vocoder": _vocoder(inputs["vocoder"], mels, manifest.vocoder_cells),
    }
    if manifest.listener:
        axes = {"log_mel": mels, "embedding": {0: BATCH}}
        found["listener"] = Signature(inputs["listener"], ("embedding",), axes)
    return found


def _vocoder(inputs: dict[str, torch.Tensor], mels: dict[int, str], cells: int) -> Signature:
    """With phases to go on from and to go on with, where it has ``cells``."""
    axes = {"log_mel": mels, "waveform": {0: BATCH, 1: "samples"}}
    if not cells:
        return Signature(inputs, ("waveform",), axes)
    defaults = {
        "phase": first_phases(cells),
        "start": torch.zeros(1, dtype=torch.int64),
        "drift": torch.zeros(1, cells),
    }
    rows = {"phase": {0: "phase_rows"}, "drift": {0: "drift_rows"}, "amplitude": mels}
    outputs = ("waveform", "phases", "amplitude")
    return Signature({**inputs, **defaults}, outputs, axes | rows | {"phases": mels}, defaults)


def first_phases(cells: int) -> torch.Tensor:
    """Phases ``[1, cells]`` to begin with, in cycles, spread so that peaks do not add up.

    Multiples of the golden ratio, which are never near one another.
    """
    return (torch.arange(cells).double() * 0.6180339887498949 % 1.0).float()[None]
