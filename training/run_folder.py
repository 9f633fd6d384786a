"""What the stages of a run have left in its folder, read back.

A run folder holds ``cache/`` (the decoded sounds) and one folder a stage with its checkpoint and
curves; later stages read the averaged weights of earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from server.errors import NotFound
from training.distillation import STUDENT_LAYERS, embed
from training.loop import load_ema
from training.networks.build import build_autoencoder, build_denoiser, build_vocoder
from training.networks.clap import Clap
from training.networks.listener import ListenerNetwork
from training.networks.text import SentenceEncoder
from training.networks.vocoder.vocoder import TunedVocoder
from training.settings import Settings
from training.sounds.bank import SoundBank

__all__ = ["CAPTIONS", "STANDARDISED", "RunFolder"]

CAPTIONS: Final = "captions.safetensors"
STANDARDISED: Final = "standardised.safetensors"


@dataclass(frozen=True)
class RunFolder:
    """The trained parts of one model, on ``device`` unless a method says otherwise."""

    settings: Settings
    folder: Path
    device: torch.device

    def bank(self) -> SoundBank:
        """The sounds."""
        return SoundBank(self.folder / "cache", self.device)

    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the distilled text tower."""
        return Tokenizer.from_file(str(self.made("text", "tokenizer.json")))

    def sentence_encoder(self) -> SentenceEncoder:
        """The distilled text tower."""
        encoder = SentenceEncoder(self.tokenizer().get_vocab_size(), len(STUDENT_LAYERS))
        return self.averaged(encoder, "text")

    def clap(self) -> Clap:
        """Audio tower and text head."""
        return self.averaged(Clap(), "clap")

    def autoencoder(self) -> nn.Module:
        """The VAE, its latent standardised over the training sounds."""
        path = self.made("vae", STANDARDISED)
        model = build_autoencoder(self.settings)
        model.load_state_dict(load_file(path))
        return model.eval().requires_grad_(False).to(self.device)

    def vocoder(self) -> nn.Module:
        """The vocoder, with the partials where the settings have them."""
        model = build_vocoder(self.settings)
        load_ema(model, self.made("vocoder").parent, strict=not isinstance(model, TunedVocoder))
        if isinstance(model, TunedVocoder):
            load_ema(model.partials, self.made("partials").parent)
            load_ema(model.low_notes, self.made("low_notes").parent)
        return model.eval().requires_grad_(False).to(self.device)

    def denoiser(self) -> nn.Module:
        """The denoiser after its last stage."""
        return self.averaged(build_denoiser(self.settings), self.last_stage())

    def last_stage(self) -> Literal["ldm", "adversarial", "grain"]:
        """The stage that trained the denoiser last."""
        for stage in ("grain", "adversarial"):
            if (self.folder / stage / "last.pt").is_file():
                return stage
        return "ldm"

    def listener(self) -> ListenerNetwork | None:
        """The listener, on the CPU; None where none was trained."""
        trained = (self.folder / "listener" / "last.pt").is_file()
        return self.averaged(ListenerNetwork(), "listener").folded().cpu() if trained else None

    def captions(self) -> Tensor:
        """The kept CLAP embeddings of all captions, unit length, [captions, 512]."""
        captions = load_file(self.made("clap", CAPTIONS))["captions"]
        return functional.normalize(captions, dim=-1)

    def caption_embeddings(self, captions: list[str]) -> Tensor:
        """CLAP text embeddings float32 [len(captions), 512], on the CPU."""
        sentences = self.sentences(captions)
        with torch.no_grad():
            return self.clap().text.cpu()(sentences)

    def sentences(self, captions: list[str]) -> Tensor:
        """Sentence embeddings of the text tower, [len(captions), 384], on the CPU."""
        encoder = self.sentence_encoder().to(self.device)
        return embed(encoder, self.tokenizer(), captions, self.device)

    def averaged(self, model: nn.Module, stage: str) -> nn.Module:
        """``model`` with the averaged weights of ``stage``."""
        return load_ema(model, self.made(stage).parent).to(self.device)

    def made(self, stage: str, name: str = "last.pt") -> Path:
        """The file ``name`` that ``stage`` has left.

        Raises:
            NotFound: it has not been trained.
        """
        path = self.folder / stage / name
        if not path.is_file():
            command = "clap" if stage == "text" else stage
            raise NotFound(f"{path} is missing; make it with: audioldm-train {command}")
        return path
