"""CLAP embeddings of sounds: for audio prompts, and to score takes against prompts."""

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
"""Shorter sounds are repeated to this length; the towers need a few frames."""


class ClapAudio:
    """The CLAP audio tower of a model folder."""

    def __init__(self, manifest: Manifest, graph: Graph) -> None:
        self._rule = manifest.audio_encoder
        self._graph = graph

    def __call__(self, sound: Waveform) -> Embedding:
        """Embed ``sound``; a long one in evenly spaced windows, whose embeddings are summed.

        Returns:
            the embedding [D] at unit length; zeros where the tower gives zeros.

        Raises:
            RenderError: the tower returns NaN or infinity.
        """
        mono = Waveform.mono(sound.downmix(), sound.sample_rate).resample(self._rule.sample_rate)
        windows = self._windows(mono.samples[:, 0])
        embedding = np.sum([self._graph(waveform=window[None])[0][0] for window in windows], axis=0)
        if not np.isfinite(embedding).all():
            raise RenderError("the CLAP audio tower fails on this sound (NaN)")
        return unit(embedding)

    def _windows(self, samples: Samples) -> list[Samples]:
        exact = self._rule.num_samples
        longest = exact or round(_WINDOW_S * self._rule.sample_rate)
        shortest = exact or round(_SHORTEST_S * self._rule.sample_rate)
        if len(samples) < shortest:
            return [np.resize(samples, shortest)]
        count = -(-len(samples) // longest)
        length = longest if exact or count > 1 else len(samples)
        starts = np.linspace(0, len(samples) - length, count).astype(int)
        return [np.ascontiguousarray(samples[start : start + length]) for start in starts]
