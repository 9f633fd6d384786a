"""Sounds to CLAP embeddings: audio prompts, and how well a take fits its prompt."""

from __future__ import annotations

from typing import Final

import numpy as np

from server.audio.waveform import Samples, Waveform
from server.errors import RenderError
from server.model.manifest import Manifest
from server.model.session import Graph
from server.model.text import Embedding, unit

__all__ = ["ClapAudio"]

_WINDOW_S: Final = 10.0
_SHORTEST_S: Final = 1.0
"""Shorter sounds are repeated to this length; the towers need a few frames to look at."""


class ClapAudio:
    """The CLAP audio tower of a model folder."""

    def __init__(self, manifest: Manifest, graph: Graph) -> None:
        self._rule = manifest.audio_encoder
        self._graph = graph

    def __call__(self, sound: Waveform) -> Embedding:
        """The unit-length embedding [D] of ``sound``; long sounds are heard in even pieces.

        It is zero where the tower hears nothing at all.

        Raises:
            RenderError: the tower gives numbers that are no embedding.
        """
        mono = Waveform.mono(sound.downmix(), sound.sample_rate).resample(self._rule.sample_rate)
        pieces = self._pieces(mono.samples[:, 0])
        embedding = np.sum([self._graph(waveform=piece[None])[0][0] for piece in pieces], axis=0)
        if not np.isfinite(embedding).all():
            raise RenderError("the CLAP audio tower fails on this sound (NaN)")
        return unit(embedding)

    def _pieces(self, samples: Samples) -> list[Samples]:
        exact = self._rule.num_samples
        longest = exact or round(_WINDOW_S * self._rule.sample_rate)
        shortest = exact or round(_SHORTEST_S * self._rule.sample_rate)
        if len(samples) < shortest:
            return [np.resize(samples, shortest)]
        count = -(-len(samples) // longest)
        length = longest if exact or count > 1 else len(samples)
        starts = np.linspace(0, len(samples) - length, count).astype(int)
        return [np.ascontiguousarray(samples[start : start + length]) for start in starts]
