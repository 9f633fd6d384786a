"""From a finished run to a model folder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from onnx_export.components import Components
from onnx_export.export import write_model_folder
from server.model.manifest import GROUNDING_FILE, Defaults, Latent, Manifest, NoiseSchedule
from server.model.manifest import Tokenizer as TokenizerEntry
from training import adversarial
from training.known_sounds import known_sounds
from training.networks.autoencoder import WaveEncoder
from training.networks.clap import TextTower, WaveTower
from training.networks.sampling import SHIFT
from training.networks.text import MAX_TOKENS
from training.networks.vocoder.cells import NUM_CELLS
from training.networks.vocoder.vocoder import TunedVocoder
from training.sounds.credits import credits_text, notices_text
from training.sounds.folder import read_manifest
from training.sounds.grounding import write_grounding
from training.stages import Run

__all__ = ["components", "export_run", "keep_tables"]

LICENCE: Final = "Apache-2.0; credits of the training sounds in CREDITS.md"
NOTICES: Final = "NOTICES.txt"
_FEW_STEPS: Final = Defaults(
    num_inference_steps=6, guidance_scale=adversarial.GUIDANCE, num_candidates=5
)
SAMPLING: Final = {
    "ldm": Defaults(num_inference_steps=10, guidance_scale=2.5, num_candidates=6),
    "adversarial": _FEW_STEPS,
    "grain": _FEW_STEPS,
}
"""Default settings by the denoiser's last stage.

More steps give a take its grain. Guidance matters at high noise only, and without it a step costs
half as much. So eight steps for four candidates cost what four guided ones would for six.
"""


def components(run: Run) -> Components:
    """The modules of ``run`` with the manifest's signatures, on the CPU."""
    clap, autoencoder = run.clap().cpu(), run.autoencoder().cpu()
    made = Components(
        text_encoder=TextTower(run.sentence_encoder().cpu(), clap.text),
        audio_encoder=WaveTower(clap.audio),
        vae_encoder=WaveEncoder(autoencoder.encoder),
        unet=run.denoiser().cpu(),
        vae_decoder=autoencoder.decoder,
        vocoder=run.vocoder().cpu(),
        tokenizer=run.tokenizer(),
        listener=run.listener(),
    )
    keep_tables(made)
    return made


def keep_tables(modules: Components) -> None:
    """Make all buffers persistent, so that cosine tables become initializers of the graphs.

    Otherwise the exporter computes the Fourier bases and stores each of them, 4 MB a piece;
    from the tables ONNX Runtime computes them when it loads a graph.
    """
    for module in modules.modules().values():
        for part in module.modules():
            for name, table in list(part.named_buffers(recurse=False)):
                part.register_buffer(name, table)


def export_run(run: Run, sounds: Path, folder: Path, *, card: Path | None = None) -> Manifest:
    """Write the model folder of ``run``, with the credits of ``sounds`` and its known sounds."""
    entries = read_manifest(sounds)
    modules = components(run)
    manifest = Manifest(
        name=run.settings.name,
        licence=LICENCE,
        source="audioldm-train; see MODEL_CARD.md" if card else "audioldm-train",
        notation=run.settings.ldm.kind == "tiny",
        listener=modules.listener is not None,
        vocoder_cells=NUM_CELLS if isinstance(modules.vocoder, TunedVocoder) else 0,
        null_embedding="zeros",
        latent=Latent(time_multiple=8),
        schedule=_schedule(run),
        tokenizer=TokenizerEntry(max_length=MAX_TOKENS, pad_id=0, pad_multiple=8),
        defaults=msgspec.structs.replace(SAMPLING[run.last_stage()], sampler="ddim"),
        architecture=_architecture(run),
        attribution=tuple(sorted({str(entry.get("source", "")) for entry in entries} - {""})),
    )
    with tempfile.TemporaryDirectory() as scratch:
        extra = {name: Path(scratch) / name for name in ("CREDITS.md", "known_sounds.npz")}
        extra["CREDITS.md"].write_text(credits_text(entries), "utf-8")
        known_sounds(run, extra["known_sounds.npz"])
        bank = Path(scratch) / GROUNDING_FILE
        if write_grounding(run.bank(), run.autoencoder().encoder, entries, bank):
            extra[GROUNDING_FILE] = bank
        notices = notices_text(sounds)
        if notices:
            extra[NOTICES] = Path(scratch) / NOTICES
            extra[NOTICES].write_text(notices, "utf-8")
        if card is not None:
            extra["MODEL_CARD.md"] = card
        return write_model_folder(
            folder, modules, manifest, precision="int8-weights", extra_files=extra
        )


def _architecture(run: Run) -> dict[str, Any]:
    return {"training": msgspec.to_builtins(run.settings)}


def _schedule(run: Run) -> NoiseSchedule:
    if run.settings.ldm.prediction == "epsilon":
        return NoiseSchedule(prediction="epsilon")
    return NoiseSchedule(prediction="flow", num_train_timesteps=1, shift=SHIFT)
