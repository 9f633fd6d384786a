"""From a request to what the denoising run needs: every kind of job differs here and only here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from server.audio.clip import ClipLoader
from server.audio.exact_samples import Fine
from server.audio.waveform import FileFormat, Waveform
from server.model.autoencoder import Autoencoder
from server.model.clap_audio import ClapAudio
from server.model.known_sounds import KnownSounds
from server.model.manifest import Manifest
from server.model.noise import LaneNoise
from server.model.schedule import Latents
from server.model.text import Embedding, TextEncoder, unit
from server.render.windows import Windows
from server.requests.notation import Notation
from server.requests.resolved import AnyResolved, ResolvedVary, WithSettings

__all__ = ["Finished", "Known", "SeedVariation", "Plan", "RenderContext", "plan"]

SeedVariation = Callable[[int], Embedding]
"""From the seed of a take to the embedding [D] of one of the sounds that its words may mean."""


@dataclass(frozen=True)
class RenderContext:
    """What a plan may use of the model, and of the world: the clips that requests name."""

    manifest: Manifest
    text: TextEncoder
    audio: ClapAudio
    autoencoder: Autoencoder
    clips: ClipLoader
    known: KnownSounds | None = None

    def told(self, words: str) -> Embedding:
        """What the unet is told for ``words``, [D]: as near as can be to what it was taught."""
        embedding = self.text(words)
        return embedding if self.known is None else self.known.told(embedding)


@dataclass(frozen=True)
class Finished:
    """A take as the job wants it, before delivery."""

    sound: Waveform
    file_format: FileFormat = "wav24"
    measures: dict[str, Any] = field(default_factory=dict)
    exact: bool = False
    """It carries samples of a clip that must not change: not even to keep a ceiling."""
    circular: bool = False
    fine: Fine | None = None
    """The clip's samples with all their bits, where they are in the take."""


@dataclass(frozen=True)
class Known:
    """What is known of the result before it is made."""

    clean: Latents
    """[lanes, C, T, F]"""
    mask: npt.NDArray[np.bool_]
    """True where ``clean`` is to be kept, [T, F]."""


@dataclass(frozen=True)
class Plan:
    """One job, as the denoising run sees it."""

    settings: WithSettings
    """Whose sampler, steps, guidance and eta are used."""
    windows: Windows
    condition: Embedding
    """One embedding a window, [W, D]."""
    unconditional: Embedding
    """What guidance leads away from, [D]."""
    noise: LaneNoise
    finish: Callable[[Latents], Finished]
    """From one take's clean latent [lanes, C, T, F] to its sound."""
    target: Embedding
    """What takes are ranked against, [D]."""
    start: Latents | None = None
    """Clean latent to set out from, [lanes, C, T, F]; None: pure noise."""
    strength: float = 1.0
    """How far ``start`` is left behind: the fraction of the steps that are run."""
    known: Known | None = None
    notation: Notation = field(default_factory=Notation)
    """What is to be played: told to a unet that takes notation, and takes are ranked by it."""
    nuance: SeedVariation | None = None
    """What a take leans to besides."""
    leaning: float = 0.0
    """How far it does, 0 to 1."""
    recipe: ResolvedVary | None = None
    """What the recipe says instead of the request, where that would not suffice."""

    def conditions(self, seed: int) -> Embedding:
        """What the take of ``seed`` is told, one embedding a window, [W, D]."""
        if self.nuance is None:
            return self.condition
        leant = (1.0 - self.leaning) * self.condition + self.leaning * self.nuance(seed)
        return np.stack([unit(row) for row in leant])


@singledispatch
def plan(request: AnyResolved, context: RenderContext) -> Plan:
    """The plan of a resolved request.

    Raises:
        InvalidRequest: the clip does not fit the request.
        UnreadableAudio: a clip cannot be read.
    """
    raise TypeError(f"no plan for {type(request).__name__}")
