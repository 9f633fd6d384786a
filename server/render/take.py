"""A take: one finished render."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.audio.exact_samples import Fine
from server.audio.waveform import FORMATS, FileFormat, Waveform
from server.model.listener import UNHEARD
from server.model.text import Embedding
from server.render.recipe import Recipe

__all__ = ["Take"]


@dataclass(frozen=True)
class Take:
    """One finished render, with the recipe that makes it again."""

    waveform: Waveform
    recipe: Recipe
    seed: int
    measures: dict[str, Any]
    file_format: FileFormat = "wav24"
    embedding: Embedding | None = None
    """How CLAP hears it, [D] at length 1; None where it cannot."""
    fit: float = UNHEARD
    """Cosine between what is heard in it and what was asked for."""
    fine: Fine | None = None
    """What of it is finer than its waveform says."""

    @property
    def extension(self) -> str:
        """How the name of its file ends, without the dot."""
        return FORMATS[self.file_format][0].lower()

    def encode(self) -> bytes:
        """The bytes of the audio file, the recipe in its metadata."""
        return self.waveform.encode(self.file_format, self.recipe.to_json(), self.fine)
