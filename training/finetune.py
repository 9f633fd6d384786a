"""``audioldm-train finetune``: fine-tuning of the built-in model on a producer's own sounds.

Only the denoiser is trained, against a critic as in its last stage (:mod:`training.adversarial`).
Half of every batch is *replay*: sounds that the model itself renders for known captions before
tuning. They preserve its abilities without the original training sounds (generative replay,
arXiv:1705.08690). The error is measured on held-out new sounds and on replays that are never
trained on. The new captions join the known ones.
"""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from onnx_export.components import Components
from onnx_export.export import write_model_folder
from server.errors import ModelError
from server.model.known_sounds import KNOWN_SOUNDS_FILE, KnownSounds
from server.model.manifest import GROUNDING_FILE, Manifest
from training.adversarial import GUIDANCE, STEPS, AdversarialStage
from training.distillation import embed
from training.export import keep_tables
from training.folder import load_folder
from training.known_sounds import audio_embeddings, with_sounds
from training.loop import Fit, fit, load_ema
from training.networks.notation import COLUMNS
from training.networks.sampling import sample_flow
from training.settings import AdversarialSettings
from training.sounds.bank import SoundBank
from training.sounds.folder import prepare

__all__ = ["FinetuneStage", "finetune", "replays"]

logger = logging.getLogger(__name__)

BATCH: Final = 8
REPLAY_FRAMES: Final = 64
KEPT: Final = ("CREDITS.md", "NOTICES.txt", "MODEL_CARD.md", GROUNDING_FILE)


def replays(
    denoiser: nn.Module, embeddings: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """``count`` latents that ``denoiser`` makes for rows of ``embeddings``, and those rows."""
    device = embeddings.device
    rows = torch.randint(len(embeddings), (count,), generator=generator, device=device)
    shape = (count, 8, REPLAY_FRAMES, 16)
    noise = torch.randn(shape, generator=generator, device=device)
    conditions = torch.cat((embeddings, embeddings.new_zeros(len(embeddings), COLUMNS)), dim=-1)
    made = [
        sample_flow(denoiser, condition, part, steps=STEPS, guidance=GUIDANCE)
        for condition, part in zip(conditions[rows].split(16), noise.split(16), strict=True)
    ]
    return torch.cat(made), embeddings[rows]


class FinetuneStage(AdversarialStage):
    """New sounds and replays, half and half."""

    replayed: tuple[Tensor, Tensor]
    replay_test: tuple[Tensor, Tensor]

    def set_replays(self, latents: Tensor, embeddings: Tensor) -> None:
        """Replay ``latents`` under ``embeddings``; one in eight is held out for measuring."""
        test = max(1, len(latents) // 8)
        self.replay_test = latents[:test], embeddings[:test]
        self.replayed = latents[test:], embeddings[test:]

    def _crops(self, frames: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        latents, audio, text, notations = super()._crops(frames, generator)
        if frames != REPLAY_FRAMES:
            return latents, audio, text, notations
        pool, conditions = self.replayed
        rows = torch.randint(len(pool), (len(latents),), generator=generator, device=self.device)
        old = conditions[rows]
        return (
            torch.cat((latents, pool[rows])),
            torch.cat((audio, old)),
            torch.cat((text, old)),
            torch.cat((notations, torch.zeros_like(notations))),
        )

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Velocity error on held-out new sounds, and on replays never trained on."""
        generator = torch.Generator(device=self.device).manual_seed(1)
        latents, conditions = self.replay_test
        noise = torch.randn(latents.shape, generator=generator, device=self.device)
        times = self.noising.times_at(torch.linspace(0.2, 0.95, len(latents)).to(self.device))
        condition = self._condition(conditions, conditions.new_zeros(len(conditions), COLUMNS))
        error = self._error(model, latents, noise, times, condition).mean().item()
        return super().evaluate(model) | {"replay": error}


def finetune(
    model: Path,
    sounds: Path,
    output: Path,
    run: Path,
    *,
    device: torch.device,
    steps: int = 600,
    num_replays: int = 192,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Tune the denoiser of the model folder ``model`` on ``sounds`` and write ``output``.

    Returns the held-out measures ``before`` and ``after``.

    Raises:
        ModelError: ``model`` was not made by ``audioldm-train``, or without an adversarial stage.
    """
    manifest, settings, modules = load_folder(model)
    section = settings.grain or settings.adversarial
    if section is None:
        raise ModelError(f"{model} was trained without the stage that tuning goes on with")
    prepare(sounds, run / "cache")
    torch.manual_seed(seed)
    stage = _stage(modules, SoundBank(run / "cache", device), section)
    known = _known(model)
    pool = run / "replays.pt"
    if not pool.is_file():  # made by the model as it was, so once and before tuning
        generator = torch.Generator(device).manual_seed(seed)
        conditions = torch.from_numpy(known.embeddings).to(device)
        torch.save(replays(modules.unet.to(device), conditions, num_replays, generator), pool)
    stage.set_replays(*torch.load(pool, map_location=device, weights_only=True))
    with torch.no_grad():
        before = stage.evaluate(copy.deepcopy(stage.model).eval())
    schedule = Fit(
        steps=steps, warmup=50, ema=0.99, evaluate_every=100, checkpoint_every=50, seed=seed
    )
    after = fit(stage, schedule, run / "ldm")
    logger.info("before %s", before)
    logger.info("after  %s", after)
    list_file = run / KNOWN_SOUNDS_FILE
    with_sounds(known, _own_sounds(stage), list_file)
    extra = {name: model / name for name in KEPT if (model / name).is_file()}
    tuned = Components(**{**vars(modules), "unet": load_ema(modules.unet.cpu(), run / "ldm")})
    _write(manifest, tuned, output, extra | {KNOWN_SOUNDS_FILE: list_file})
    return {"before": before, "after": after}


def _stage(modules: Components, bank: SoundBank, section: AdversarialSettings) -> FinetuneStage:
    with torch.no_grad():
        captions = embed(
            modules.text_encoder, modules.tokenizer, bank.captions, torch.device("cpu")
        )
    return FinetuneStage(
        bank,
        copy.deepcopy(modules.unet).requires_grad_(True),
        encoder=modules.vae_encoder.encoder,
        decoder=modules.vae_decoder,
        audio_tower=modules.audio_encoder.tower,
        captions=captions,
        batch=BATCH,
        repeats=1,
        learning_rate=section.learning_rate,
        critic_learning_rate=section.critic_learning_rate,
        weight=section.weight,
        grain_weight=section.grain_weight,
        text_share=section.text_share,
        lengths=tuple(sorted({REPLAY_FRAMES, *section.lengths})),
    )


def _known(model: Path) -> KnownSounds:
    known = KnownSounds.load(model)
    if known is None:
        raise ModelError(
            f"{model / KNOWN_SOUNDS_FILE} is missing: without it tuning would forget what the "
            "model knows"
        )
    return known


def _own_sounds(stage: FinetuneStage) -> KnownSounds:
    """The new sounds, by the first caption of each."""
    bank = stage.bank
    rows = [row for row, clip in enumerate(bank.clips) if clip.variant == 0]
    embeddings = stage.captions[bank.caption_table[rows, 0]].cpu().numpy()
    captions = tuple(bank.clips[row].captions[0] for row in rows)
    audio = audio_embeddings(bank, rows, stage.audio_tower)
    return KnownSounds(captions, embeddings, audio, np.empty(0, np.float32))


def _write(manifest: Manifest, modules: Components, output: Path, extra: dict[str, Path]) -> None:
    keep_tables(modules)
    manifest = msgspec.structs.replace(
        manifest, name=output.name, source=f"{manifest.source}; finetuned from {manifest.name}"
    )
    write_model_folder(output, modules, manifest, precision="int8-weights", extra_files=extra)
