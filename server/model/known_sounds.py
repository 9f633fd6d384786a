"""The captions that the model was trained on, as conditions for prompts and to rate prompts.

A denoiser generalises poorly between the embeddings that it was trained with. So a prompt's
embedding is replaced by the mean of the nearest captions (retrieval, as in arXiv:2204.02849).
Each take reports how near those captions were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.errors import ModelError
from server.model.noise import SEED_VARIATION_STREAM, generator
from server.model.text import Embedding, unit

__all__ = ["KNOWN_SOUNDS_FILE", "KnownSounds", "Whitening"]

KNOWN_SOUNDS_FILE: Final = "known_sounds.npz"
_NO_PERCENTILES: Final = np.empty(0, np.float32)
_NUM_LISTED: Final = 3
"""Nearest captions that a take lists."""
_NUM_AVERAGED: Final = 8
"""Captions in the mean that conditions the unet: 8 and 16 rated alike, 32 slightly worse."""
_NUM_DRAWN: Final = 24
"""Captions from which one is drawn, with a probability that falls with the distance."""
_SHARPNESS: Final = 20.0
"""Inverse temperature of the weights: an exact match outweighs captions that are merely near."""
_SAME_CAPTION: Final = 0.85
"""Cosine above which two captions are not both listed."""


@dataclass(frozen=True)
class Whitening:
    """Half-whitened projection: directions in which captions hardly differ weigh more.

    Captions made from templates vary in a few directions only. The meaning of other words lies
    in the remaining ones.
    """

    mean: Embedding
    """[D]"""
    matrix: Embedding
    """[D, d]"""
    keys: Embedding
    """The projected captions, [N, d] at unit length."""

    @classmethod
    def of(cls, stored: Mapping[str, npt.NDArray[Any]]) -> Whitening | None:
        """The projection stored with a list; None where it has no principal directions."""
        if "basis" not in stored:
            return None
        coordinates = stored["embeddings"].astype(np.float32) * stored["scales"]
        weights = np.maximum(coordinates.std(axis=0), 1e-6) ** -0.5
        keys = coordinates * weights
        keys /= np.maximum(np.linalg.norm(keys, axis=1, keepdims=True), 1e-12)
        return cls(stored["mean"], stored["basis"].astype(np.float32).T * weights, keys)

    def similarity(self, prompt: Embedding) -> Embedding:
        """Cosine with each caption, [N]."""
        return np.asarray(self.keys @ unit((prompt - self.mean) @ self.matrix))


@dataclass(frozen=True)
class KnownSounds:
    """Captions of the training sounds, one for each sound, and their text embeddings [N, D].

    A caption of many sounds occurs as often, and so weighs more in the mean.
    """

    captions: tuple[str, ...]
    embeddings: Embedding
    audio_embeddings: Embedding | None
    """CLAP embeddings of the sounds themselves, [N, D]; None where the list has none."""
    distance_percentiles: npt.NDArray[np.float32]
    """Distances of unseen captions: 5th, 50th, 95th and 99th percentile; empty if unknown."""
    whitening: Whitening | None = None

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
                audio = _embeddings(stored, "heard_") if "heard_embeddings" in stored else None
                percentiles = stored.get("distances", _NO_PERCENTILES)
                captions = tuple(map(str, stored["captions"]))
                return cls(captions, embeddings, audio, percentiles, Whitening.of(stored))
        except (OSError, KeyError, ValueError) as error:
            raise ModelError(f"{path} cannot be read: {error}") from error

    def nearest(self, prompt: Embedding) -> dict[str, Any]:
        """Measures of how familiar ``prompt`` [D] is to the model.

        Returns:
            ``prompt_distance`` (1 - cosine to the nearest caption), ``nearest_sounds`` (captions)
            and ``prompt_is_known`` (nearer than the 95th percentile of unseen captions).
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
        if len(self.distance_percentiles) >= 3:
            measures["prompt_is_known"] = distance <= float(self.distance_percentiles[2])
        return measures

    def condition(self, prompt: Embedding) -> Embedding:
        """Conditioning embedding [D] for ``prompt`` [D]: the mean of the nearest captions."""
        if len(self.captions) <= _NUM_AVERAGED:
            return prompt
        rows, weights = self._nearest(prompt, _NUM_AVERAGED)
        return unit(weights @ self.embeddings[rows])

    def draw_sound(self, prompt: Embedding, seed: int) -> Embedding:
        """Audio embedding [D] of one training sound, drawn near ``prompt`` [D] by ``seed``."""
        if self.audio_embeddings is None or len(self.captions) <= _NUM_DRAWN:
            return self.condition(prompt)
        rows, weights = self._nearest(prompt, _NUM_DRAWN)
        row = int(generator(seed, SEED_VARIATION_STREAM).choice(rows, p=weights))
        return unit(self.audio_embeddings[row])

    def _nearest(
        self, prompt: Embedding, count: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The ``count`` nearest rows, with weights that fall with the distance and sum to 1."""
        whitening = self.whitening
        keys = self.embeddings @ prompt if whitening is None else whitening.similarity(prompt)
        rows = np.argpartition(-keys, count)[:count]
        similarity = (self.embeddings[rows] @ prompt).astype(np.float64)
        weights = np.exp(_SHARPNESS * (similarity - similarity.max()))
        return rows, weights / weights.sum()

    def _distinct(self, order: npt.NDArray[np.int64]) -> list[int]:
        """The first rows of ``order`` whose captions differ in meaning."""
        listed: list[int] = []
        for row in order:
            if len(listed) == _NUM_LISTED:
                break
            nearest = (self.embeddings[listed] @ self.embeddings[row]).max(initial=-1.0)
            if nearest < _SAME_CAPTION:
                listed.append(int(row))
        return listed


def _embeddings(stored: Mapping[str, npt.NDArray[Any]], which: str = "") -> Embedding:
    """Embeddings [N, D] at unit length from a stored list.

    Arrays of int8 come with one scale for each row. Arrays with fewer than D columns are
    coordinates on the rows of ``basis`` around ``mean``.

    Args:
        stored: the arrays of the file.
        which: prefix of their names.
    """
    embeddings = stored[f"{which}embeddings"].astype(np.float32)
    if f"{which}scales" in stored:
        embeddings = embeddings * stored[f"{which}scales"]
    if f"{which}basis" in stored:
        basis = stored[f"{which}basis"].astype(np.float32)
        embeddings = embeddings @ basis + stored[f"{which}mean"]
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings
