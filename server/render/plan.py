"""The plan of a job: all that the denoising run needs. Kinds of job differ only in their plans.

To add a kind of job: write its request class in :mod:`server.requests.request`, and a module in
:mod:`server.render.plans` that registers its plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from server.audio.clip import ClipLoader
from server.audio.exact_samples import ExactSamples
from server.audio.metadata.carried import NO_METADATA, Metadata
from server.audio.splice import Span
from server.audio.waveform import FileFormat, Waveform
from server.model.autoencoder import Autoencoder
from server.model.clap_audio import ClapAudio
from server.model.grounding import GroundSound
from server.model.known_sounds import KnownSounds
from server.model.manifest import Manifest
from server.model.noise import ChannelNoise, Origin, slerp
from server.model.schedule import Latents
from server.model.text import Embedding, TextEncoder, unit
from server.render.windows import Windows
from server.requests.new_sound import OneShot
from server.requests.notation import Notation
from server.requests.resolved import AnyResolved, ResolvedFill, ResolvedVary, WithSettings

__all__ = [
    "Finished",
    "Known",
    "Plan",
    "RenderContext",
    "SeedVariation",
    "Treatment",
    "Way",
    "plan",
]

SeedVariation = Callable[[int], Embedding]
"""From a take's seed to the embedding [D] of one sound that its prompt may mean."""


@dataclass(frozen=True)
class RenderContext:
    """What a plan may use: the model, and the clips that requests name."""

    manifest: Manifest
    text: TextEncoder
    audio: ClapAudio
    autoencoder: Autoencoder
    clips: ClipLoader
    known_sounds: KnownSounds | None = None

    def condition(self, text: str) -> Embedding:
        """Conditioning embedding [D] for ``text``: its own, or that of the nearest captions."""
        embedding = self.text(text)
        known = self.known_sounds
        return embedding if known is None else known.condition(embedding)


@dataclass(frozen=True)
class Treatment:
    """What is done to a new sound before it is delivered."""

    one_shot: OneShot = "off"
    """``trim``: begin at the onset, end with the sound; ``tight``: the same, at full length."""
    matched_level: bool = False
    """Bring it to the level of other sounds of its kind."""


@dataclass(frozen=True)
class Finished:
    """A decoded take before delivery."""

    sound: Waveform
    file_format: FileFormat = "wav24"
    measures: dict[str, Any] = field(default_factory=dict)
    keeps_clip: bool = False
    """It contains samples of a clip, which delivery must not change, not even for a ceiling."""
    circular: bool = False
    top_hz: float | None = None
    """Where the band that was rendered ends; None where nothing is missing above it."""
    treatment: Treatment | None = None
    """None for a sound that keeps a clip's samples."""
    fade: int = 0
    """Samples over which a new part fades in before its beginning, and out after its end."""
    exact: ExactSamples | None = None
    """The clip's own samples, where float32 cannot hold them."""
    metadata: Metadata = NO_METADATA
    """What else is in its file, moved with the sound."""
    seam_db: Callable[[Waveform], float | None] | None = None
    """Measures the seams of an edit again, after its new parts have changed."""
    new: tuple[Span, ...] | None = None
    """The parts that were rendered; None: all of it."""
    around_db: float | None = None
    """Level of the clip around the new parts, in dBFS."""
    highest_peak: float = math.inf
    """Where no sample stays as it was, all is turned down to this peak."""
    sound_wanted: bool = True
    """False where silence is a fitting result."""
    origin: Origin | None = None
    """The take that this one is a variation of."""
    before: Waveform | None = None
    """The clip itself, where the job adds a band to it."""
    alone: Callable[[], Plan] | None = None
    """Plans the silent new parts again, without the clip around them."""


@dataclass(frozen=True)
class Known:
    """The part of the result that is known before the run: the clip around an edit."""

    clean: Latents
    """[channels, C, T, F]"""
    mask: npt.NDArray[np.bool_]
    """True where ``clean`` is kept, [T, F]."""


@dataclass(frozen=True)
class Way:
    """The way between two sounds, on which each take has its place."""

    ends: tuple[Embedding, Embedding]
    """Those of both sounds, [D]."""
    place: Callable[[int], float]
    """From a take's seed to its place: 0 is the first sound, 1 the other."""

    def embedding(self, place: float) -> Embedding:
        """The embedding [D] at ``place``."""
        return unit(slerp(*self.ends, place))

    def measures(self, seed: int, heard: Embedding | None) -> dict[str, float]:
        """Where the take of ``seed`` is meant to be, and how like both sounds it is."""
        measured = {"place": round(self.place(seed), 4)}
        if heard is not None:
            first, other = (round(float(heard @ end), 4) for end in self.ends)
            measured |= {"similarity_to_clip": first, "similarity_to_other": other}
        return measured


@dataclass(frozen=True)
class Plan:
    """One job as the denoising run takes it."""

    settings: WithSettings
    """Sampler, number of steps, guidance and eta."""
    windows: Windows
    condition: Embedding
    """One embedding a window, [W, D]."""
    unconditional: Embedding
    """The embedding that guidance leads away from, [D]."""
    noise: ChannelNoise
    finish: Callable[[Latents], Finished]
    """Decodes the clean latent [channels, C, T, F] of one take."""
    target: Embedding
    """The embedding that takes are scored against, [D]."""
    start: Callable[[int], Latents] | None = None
    """From a take's seed to the clean latent [channels, C, T, F] that its run starts from.

    None: pure noise."""
    strength: float = 1.0
    """Fraction of the steps that are run, 0 to 1."""
    known: Known | None = None
    notation: Notation = field(default_factory=Notation)
    """Note and tempo: a condition for unets that take notation, and a criterion of ranking."""
    seed_variation: SeedVariation | None = None
    """An embedding for each seed that is mixed into the condition."""
    variety: float = 0.0
    """Weight of that embedding, 0 to 1."""
    ground: Callable[[int], GroundSound] | None = None
    """The known sound that the take of a seed starts from; None for takes without grounding."""
    way: Way | None = None
    """Where each take is between two sounds; None for takes that are ranked."""
    recipe: ResolvedVary | ResolvedFill | None = None
    """The request for the recipe, where the original would not reproduce the take."""

    def conditions(self, seed: int) -> Embedding:
        """Conditions of the take of ``seed``, one embedding for each window, [W, D]."""
        if self.seed_variation is None:
            return self.condition
        mixed = (1.0 - self.variety) * self.condition + self.variety * self.seed_variation(seed)
        return np.stack([unit(row) for row in mixed])

    def target_of(self, seed: int) -> Embedding:
        """The embedding [D] that the take of ``seed`` is scored against."""
        return self.target if self.way is None else self.way.embedding(self.way.place(seed))

    def request_of(self, request: AnyResolved, seed: int) -> AnyResolved:
        """``request`` for the take of ``seed`` alone."""
        place: dict[str, Any] = {}
        if self.way is not None and isinstance(request, ResolvedFill):
            place = dict.fromkeys(("begin", "end"), self.way.place(seed))
        return msgspec.structs.replace(
            request,
            seed=seed,
            num_waveforms_per_prompt=1,
            num_candidates=1,
            priority=None,
            previews=0,
            **place,
        )

    def place_of(self, seed: int, heard: Embedding | None) -> dict[str, float]:
        """Measures of the take of ``seed``, whose embedding is ``heard``, between two sounds."""
        return {} if self.way is None else self.way.measures(seed, heard)

    def credit_of(self, seed: int) -> dict[str, str]:
        """``grounded_in``: the credit of the sound that the take of ``seed`` starts from."""
        return {} if self.ground is None else {"grounded_in": self.ground(seed).credit}


@singledispatch
def plan(request: AnyResolved, context: RenderContext) -> Plan:
    """The plan of a resolved request.

    Raises:
        InvalidRequest: the clip does not fit the request.
        UnreadableAudio: a clip cannot be read.
    """
    raise TypeError(f"no plan for {type(request).__name__}")
