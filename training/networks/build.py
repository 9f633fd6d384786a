"""The networks that settings ask for, with fresh weights."""

from __future__ import annotations

from types import ModuleType

from torch import nn

from server.checkpoints.architecture import VARIANTS
from server.errors import InvalidRequest
from training import settings as sections
from training.networks.autoencoder import MelVae
from training.networks.denoiser import TransformerDenoiser
from training.networks.vocoder.low_notes import LowNotes
from training.networks.vocoder.partials import Partials
from training.networks.vocoder.spectra import Spectra
from training.networks.vocoder.vocoder import TunedVocoder, Vocoder
from training.settings import Settings

__all__ = [
    "build_autoencoder",
    "build_denoiser",
    "build_low_notes",
    "build_partials",
    "build_spectra",
    "build_vocoder",
]


def build_autoencoder(settings: Settings) -> nn.Module:
    """A VAE with fresh weights."""
    section: sections.VaeSettings = settings.vae
    if section.kind == "audioldm":
        return _published().KlAutoencoder(VARIANTS[settings.variant])
    return MelVae(width=section.width)


def build_spectra(settings: Settings) -> nn.Module:
    """What stage ``vocoder`` trains, with fresh weights."""
    section: sections.VocoderSettings = settings.vocoder
    if section.kind == "audioldm":
        return _published().HifiGan(VARIANTS[settings.variant])
    return Spectra(section.width, section.depth)


def build_vocoder(settings: Settings) -> nn.Module:
    """The whole vocoder with fresh weights."""
    section: sections.VocoderSettings = settings.vocoder
    if section.kind == "audioldm":
        return build_spectra(settings)
    if settings.partials is None:
        return Vocoder(section.width, section.depth)
    partials, low_notes = build_partials(settings), build_low_notes(settings)
    return TunedVocoder(partials, low_notes, section.width, section.depth)


def build_partials(settings: Settings) -> Partials:
    """What stage ``partials`` trains, with fresh weights."""
    section = _pitch(settings, "partials")
    return Partials(section.width, section.depth)


def build_low_notes(settings: Settings) -> LowNotes:
    """What stage ``low_notes`` trains, with fresh weights."""
    section = _pitch(settings, "low_notes")
    return LowNotes(section.width, section.depth)


def _pitch(settings: Settings, name: str) -> sections.PitchSettings:
    section: sections.PitchSettings | None = getattr(settings, name)
    if section is None:
        raise InvalidRequest(f"{settings.name} has no {name}: add a section '{name}'")
    return section


def build_denoiser(settings: Settings) -> nn.Module:
    """A denoiser with fresh weights."""
    section: sections.LdmSettings = settings.ldm
    if section.kind == "audioldm":
        return _published().UnetDenoiser(VARIANTS[settings.variant])
    return TransformerDenoiser(width=section.width, depth=section.depth, heads=section.heads)


def _published() -> ModuleType:
    from training.networks import published  # imports diffusers and transformers

    return published
