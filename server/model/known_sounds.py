"""The captions the model was trained on: what a prompt is told as, and how far it is from them.

A denoiser knows the embeddings that it was trained with, and hardly what lies between them. So a
prompt is told as the mean of the nearest captions (retrieval, as in arXiv:2204.02849); and a take
carries an honest word about how near they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.errors import ModelError
from server.model.noise import NUANCE_STREAM, generator
from server.model.text import Embedding, unit

__all__ = ["KNOWN_SOUNDS_FILE", "KnownSounds", "Lens"]

KNOWN_SOUNDS_FILE: Final = "known_sounds.npz"
_NAMED: Final = 3
_TOLD: Final = 8
"""Captions that a prompt is told as: 8 and 16 were judged alike, 32 a little worse."""
_DRAWN: Final = 24
"""Captions that one is drawn from, the nearer the likelier."""
_SHARPNESS: Final = 20.0
"""A caption that is the prompt outweighs others that are merely near."""
_ALIKE: Final = 0.85
"""Cosine above which two captions are not both named."""


@dataclass(frozen=True)
class Lens:
    """Half whitened: directions in which captions hardly differ count for more.

    Captions in templates fill a few directions; what other words mean lies in the others.
    """

    mean: Embedding
    """[D]"""
    matrix: Embedding
    """[D, d]"""
    keys: Embedding
    """The captions through the lens, [N, d] of unit length."""

    @classmethod
    def of(cls, stored: Mapping[str, npt.NDArray[Any]]) -> Lens | None:
        """The lens of an opened list; None where it has no principal directions."""
        if "basis" not in stored:
            return None
        coordinates = stored["embeddings"].astype(np.float32) * stored["scales"]
        weights = np.maximum(coordinates.std(axis=0), 1e-6) ** -0.5
        keys = coordinates * weights
        keys /= np.maximum(np.linalg.norm(keys, axis=1, keepdims=True), 1e-12)
        return cls(stored["mean"], stored["basis"].astype(np.float32).T * weights, keys)

    def likeness(self, prompt: Embedding) -> Embedding:
        """Cosine with each caption, [N]."""
        return np.asarray(self.keys @ unit((prompt - self.mean) @ self.matrix))


@dataclass(frozen=True)
class KnownSounds:
    """Captions of the training sounds, one a sound, and their text embeddings [N, D].

    A caption of many sounds stands there as often: it is told that much more.
    """

    captions: tuple[str, ...]
    embeddings: Embedding
    heard: Embedding | None
    """How CLAP hears each of the sounds, [N, D]; None where the list does not say."""
    usual: npt.NDArray[np.float32]
    """Distances of unseen captions: 5th, 50th, 95th and 99th percentile; empty if not known."""
    lens: Lens | None = None

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
                embeddings = _embeddings(stored)
                usual = stored["distances"] if "distances" in stored else np.empty(0, np.float32)
                heard = _embeddings(stored, "heard_") if "heard_embeddings" in stored else None
                captions = tuple(map(str, stored["captions"]))
                return cls(captions, embeddings, heard, usual, Lens.of(stored))
        except (OSError, KeyError, ValueError) as error:
            raise ModelError(f"{path} cannot be read: {error}") from error

    def nearest(self, prompt: Embedding) -> dict[str, Any]:
        """``prompt_distance`` (1 - cosine to the nearest caption), and the nearest captions.

        ``prompt_is_known`` says whether it is as near as 95 of 100 unseen captions are.
        """
        if not self.captions:
            return {}
        similarity = self.embeddings @ prompt
        order = np.argsort(-similarity)
        distance = round(1.0 - float(similarity[order[0]]), 4)
        measures: dict[str, Any] = {
            "prompt_distance": distance,
            "nearest_sounds": [self.captions[k] for k in self._distinct(order)],
        }
        if len(self.usual) >= 3:
            measures["prompt_is_known"] = distance <= float(self.usual[2])
        return measures

    def told(self, prompt: Embedding) -> Embedding:
        """What the unet is told for ``prompt``, both [D]: a mean of the nearest captions."""
        if len(self.captions) <= _TOLD:
            return prompt
        rows, weights = self._nearest(prompt, _TOLD)
        return unit(weights @ self.embeddings[rows])

    def sound_like(self, prompt: Embedding, seed: int) -> Embedding:
        """How one of the sounds is heard, [D], that are captioned like ``prompt`` [D]."""
        if self.heard is None or len(self.captions) <= _DRAWN:
            return self.told(prompt)
        rows, weights = self._nearest(prompt, _DRAWN)
        return unit(self.heard[int(generator(seed, NUANCE_STREAM).choice(rows, p=weights))])

    def _nearest(
        self, prompt: Embedding, count: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """``count`` rows, and weights that fall with the distance and sum to one."""
        likeness = self.embeddings @ prompt if self.lens is None else self.lens.likeness(prompt)
        rows = np.argpartition(-likeness, count)[:count]
        similarity = (self.embeddings[rows] @ prompt).astype(np.float64)
        weights = np.exp(_SHARPNESS * (similarity - similarity.max()))
        return rows, weights / weights.sum()

    def _distinct(self, order: npt.NDArray[np.int64]) -> list[int]:
        """The first rows of ``order`` that do not say the same."""
        named: list[int] = []
        for row in order:
            if len(named) == _NAMED:
                break
            if not named or float((self.embeddings[named] @ self.embeddings[row]).max()) < _ALIKE:
                named.append(int(row))
        return named


def _embeddings(stored: Mapping[str, npt.NDArray[Any]], which: str = "") -> Embedding:
    """Embeddings [N, D] of an opened list, of unit length; ``which`` begins their names.

    Those of int8 have a scale a row, and those of fewer columns are coordinates on the rows of
    ``basis`` around ``mean``.
    """
    embeddings = stored[f"{which}embeddings"].astype(np.float32)
    if f"{which}scales" in stored:
        embeddings = embeddings * stored[f"{which}scales"]
    if f"{which}basis" in stored:
        basis = stored[f"{which}basis"].astype(np.float32)
        embeddings = embeddings @ basis + stored[f"{which}mean"]
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings
