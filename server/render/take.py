"""A take: one finished render."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from server.audio.exact_samples import ExactSamples
from server.audio.metadata.carried import NO_METADATA, Metadata
from server.audio.peaks import fitted
from server.audio.waveform import FORMATS, FileFormat, Waveform
from server.model.listener import NO_SCORE
from server.model.text import Embedding
from server.render.finishing.delivery import turned_down
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
    metadata: Metadata = NO_METADATA
    """What else is in its file."""
    warnings: tuple[str, ...] = ()
    """What is wrong with it or was done to it, in sentences."""

    @property
    def extension(self) -> str:
        """Ending of its file name, without the dot."""
        return FORMATS[self.file_format][0].lower()

    @property
    def silent(self) -> bool:
        """True where what was rendered cannot be heard."""
        return bool(self.measures.get("silent"))

    def in_format(self, file_format: FileFormat) -> Take:
        """The take in another format, turned down where that cannot hold its peaks."""
        sound, attenuated_db = fitted(self.waveform, file_format)
        take = replace(self, file_format=file_format)
        if not attenuated_db:
            return take
        measures = self.measures | {"attenuated_db": round(attenuated_db, 2)}
        for name in ("peak_dbfs", "rms_db", "new_rms_db"):
            measures[name] = round(measures[name] - attenuated_db, 2)
        said = turned_down(attenuated_db, file_format)
        return replace(take, waveform=sound, measures=measures, warnings=(*self.warnings, said))

    def encode(self) -> bytes:
        """Encode as an audio file with the recipe in its metadata."""
        return self.waveform.encode(
            self.file_format, self.recipe.to_json(), self.exact, self.metadata
        )
