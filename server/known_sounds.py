"""How far a prompt is from anything the model was trained on: an honest word about its takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.errors import ModelError
from server.text import Embedding

__all__ = ["KnownSounds", "known_embeddings"]

KNOWN_SOUNDS_FILE: Final = "known_sounds.npz"
_NAMED: Final = 3


@dataclass(frozen=True)
class KnownSounds:
    """Captions of the training sounds and their text embeddings, [N, D]."""

    captions: tuple[str, ...]
    embeddings: Embedding
    usual: npt.NDArray[np.float32]
    """Distances of unseen captions: 5th, 50th, 95th and 99th percentile; empty if not known."""

    @classmethod
    def load(cls, folder: Path) -> KnownSounds | None:
        """The list in a model folder; None where it has none.

        Raises:
            ModelError: the file is there but cannot be read.
        """
        path = folder / KNOWN_SOUNDS_FILE
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                embeddings = known_embeddings(stored)
                usual = stored["distances"] if "distances" in stored else np.empty(0, np.float32)
                return cls(tuple(map(str, stored["captions"])), embeddings, usual)
        except (OSError, KeyError, ValueError) as error:
            raise ModelError(f"{path} cannot be read: {error}") from error

    def nearest(self, prompt: Embedding) -> dict[str, Any]:
        """``prompt_distance`` (1 - cosine to the nearest caption), and the nearest captions.

        ``prompt_is_known`` says whether it is as near as 95 of 100 unseen captions are.
        """
        if not self.captions:
            return {}
        similarity = self.embeddings @ prompt
        order = np.argsort(-similarity)[:_NAMED]
        distance = round(1.0 - float(similarity[order[0]]), 4)
        measures: dict[str, Any] = {
            "prompt_distance": distance,
            "nearest_sounds": [self.captions[k] for k in order],
        }
        if len(self.usual) >= 3:
            measures["prompt_is_known"] = distance <= float(self.usual[2])
        return measures


def known_embeddings(stored: Mapping[str, npt.NDArray[Any]]) -> Embedding:
    """The embeddings [N, D] of an opened list; those of int8 have a scale a row."""
    embeddings = stored["embeddings"].astype(np.float32)
    return embeddings * stored["scales"] if "scales" in stored else embeddings
