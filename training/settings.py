"""The YAML that describes a model and how each of its stages is trained."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec
import yaml

from server.errors import InvalidRequest
from training.loop import Fit

__all__ = [
    "AdversarialSettings",
    "ClapSettings",
    "LdmSettings",
    "ListenerSettings",
    "PitchSettings",
    "Settings",
    "TextSettings",
    "VaeSettings",
    "VocoderSettings",
    "load_settings",
]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Schedule(_Section, frozen=True, kw_only=True):
    """Length and speed of a stage; see :class:`training.loop.Fit`."""

    steps: int
    warmup: int = 100
    decay: float = 0.4
    ema: float = 0.999
    evaluate_every: int = 200
    checkpoint_every: int = 100

    def fit(self, seed: int) -> Fit:
        """The same with a seed."""
        return Fit(**msgspec.structs.asdict(self), seed=seed)


class TextSettings(_Section, frozen=True, kw_only=True):
    """Distillation of the text tower."""

    vocabulary: int
    phrases: int
    batch: int
    learning_rate: float
    schedule: Schedule


class ClapSettings(_Section, frozen=True, kw_only=True):
    """The audio tower and the text head."""

    batch: int
    learning_rate: float
    schedule: Schedule


class VaeSettings(_Section, frozen=True, kw_only=True):
    """``tiny`` is our small VAE, ``audioldm`` the published AutoencoderKL."""

    kind: Literal["tiny", "audioldm"] = "tiny"
    width: int = 48
    batch: int
    frames: int
    learning_rate: float
    kl_weight: float
    adversarial_from: int
    adversarial_weight: float
    schedule: Schedule


class VocoderSettings(_Section, frozen=True, kw_only=True):
    """``tiny`` is our Vocos, ``audioldm`` the published HiFi-GAN."""

    kind: Literal["tiny", "audioldm"] = "tiny"
    width: int = 256
    depth: int = 6
    batch: int
    frames: int
    learning_rate: float
    adversarial_from: int
    adversarial_weight: float
    discriminator_width: int = 16
    schedule: Schedule


class PitchSettings(_Section, frozen=True, kw_only=True):
    """A network that gives the vocoder its frequencies; only beside a ``tiny`` vocoder."""

    width: int
    depth: int
    batch: int
    frames: int
    tone_share: float = 0.625
    learning_rate: float
    schedule: Schedule


class LdmSettings(_Section, frozen=True, kw_only=True):
    """``tiny`` is our transformer, ``audioldm`` the published UNet."""

    kind: Literal["tiny", "audioldm"] = "tiny"
    prediction: Literal["flow", "epsilon"] = "flow"
    width: int = 256
    depth: int = 8
    heads: int = 4
    batch: int
    repeats: int = 2
    learning_rate: float
    lengths: tuple[int, ...]
    text_share: float
    null_share: float = 0.1
    schedule: Schedule


class AdversarialSettings(_Section, frozen=True, kw_only=True):
    """The denoiser again, against critics; the flow only."""

    batch: int
    learning_rate: float
    critic_learning_rate: float
    weight: float
    grain_weight: float = 0.0
    """Weight of the critic of small patches; 0: there is none."""
    lengths: tuple[int, ...]
    text_share: float
    schedule: Schedule


class ListenerSettings(_Section, frozen=True, kw_only=True):
    """The listener, which ranks candidates."""

    batch: int
    learning_rate: float
    schedule: Schedule


class Settings(_Section, frozen=True, kw_only=True):
    """One model."""

    name: str
    seed: int = 0
    variant: Literal["s", "m", "l"] = "s"
    """Published sizes, for the parts whose kind is ``audioldm``."""
    pitch_variants: int = 3
    text: TextSettings
    clap: ClapSettings
    vae: VaeSettings
    vocoder: VocoderSettings
    partials: PitchSettings | None = None
    low_notes: PitchSettings | None = None
    ldm: LdmSettings
    adversarial: AdversarialSettings | None = None
    grain: AdversarialSettings | None = None
    listener: ListenerSettings | None = None


def load_settings(name: str) -> Settings:
    """The settings of ``name``: a YAML file, or one of the configurations in the package.

    Raises:
        InvalidRequest: no such file, or a field that is missing, unknown or of the wrong kind.
    """
    path = Path(name)
    if not path.is_file():
        known = files("training") / "configs" / f"{name}.yaml"
        if not known.is_file():
            raise InvalidRequest(f"--config {name} is neither a YAML file nor tiny, audioldm-s, -l")
        text = known.read_text("utf-8")
    else:
        text = path.read_text("utf-8")
    try:
        return msgspec.convert(yaml.safe_load(text), Settings)
    except (msgspec.ValidationError, yaml.YAMLError) as error:
        raise InvalidRequest(f"--config {name}: {error}") from error
