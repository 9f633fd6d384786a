"""A small audio tower that scores spectrograms against the prompt, before they are vocoded."""

from __future__ import annotations

from typing import Final

import numpy as np

from server.model.autoencoder import Autoencoder
from server.model.chunks import Frames
from server.model.schedule import Latents
from server.model.session import Graph
from server.model.text import Embedding, unit

__all__ = ["NO_SCORE", "Listener"]

NO_SCORE: Final = -1.0
"""Score where there is no embedding; cosines are never lower."""


class Listener:
    """The graph ``listener`` of a model folder.

    It chooses the best of several candidates for two reasons. No other network was trained
    against it, unlike CLAP's audio tower. And it works on log-mels, so that only the chosen
    candidate needs the vocoder, which takes most of the time.
    """

    def __init__(self, graph: Graph, autoencoder: Autoencoder) -> None:
        self._graph = graph
        self._autoencoder = autoencoder

    def score(self, latent: Latents, target: Embedding) -> float:
        """Cosine between the embedding of ``latent`` [channels, C, T, F] and ``target`` [D].

        Raises:
            RenderError: ONNX Runtime failed.
        """
        log_mels = [self._autoencoder.log_mel(channel) for channel in latent]
        embedding = np.sum(
            [self._embedding(piece) for mel in log_mels for piece in self._pieces(mel)], 0
        )
        return float(unit(embedding) @ target) if np.isfinite(embedding).all() else NO_SCORE

    def _embedding(self, log_mel: Frames) -> Embedding:
        embedding: Embedding = self._graph(log_mel=np.ascontiguousarray(log_mel[None]))[0][0]
        return embedding

    def _pieces(self, log_mel: Frames) -> list[Frames]:
        return np.array_split(log_mel, -(-len(log_mel) // self._autoencoder.chunk_mels))
