"""A take: one finished render."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.audio.exact_samples import ExactSamples
from server.audio.waveform import FORMATS, FileFormat, Waveform
from server.model.listener import NO_SCORE
from server.model.text import Embedding
from server.render.recipe import Recipe

__all__ = ["Take"]


@dataclass(frozen=True)
class Take:
    """One finished render, with the recipe that reproduces it."""

    waveform: Waveform
    recipe: Recipe
    seed: int
    measures: dict[str, Any]
    file_format: FileFormat = "wav24"
    embedding: Embedding | None = None
    """Its CLAP embedding [D] at unit length; None where the tower fails."""
    audio_tower: str = ""
    """Identity of the tower that made the embedding."""
    score: float = NO_SCORE
    """Cosine between its embedding and that of the request."""
    exact: ExactSamples | None = None
    """The clip's own samples, where float32 cannot hold them."""

    @property
    def extension(self) -> str:
        """Ending of its file name, without the dot."""
        return FORMATS[self.file_format][0].lower()

    def encode(self) -> bytes:
        """Encode as an audio file with the recipe in its metadata."""
        return self.waveform.encode(self.file_format, self.recipe.to_json(), self.exact)
