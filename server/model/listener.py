"""An ear that ranks takes by their spectrograms, before any of them is vocoded."""

from __future__ import annotations

from typing import Final

import numpy as np

from server.model.autoencoder import Autoencoder
from server.model.chunks import Frames
from server.model.schedule import Latents
from server.model.session import Graph
from server.model.text import Embedding, unit

__all__ = ["UNHEARD", "Listener"]

UNHEARD: Final = -1.0
"""Of what cannot be heard; cosines are never below."""


class Listener:
    """The graph ``listener`` of a model folder.

    Nothing of the model was trained against it, unlike CLAP's audio tower, and most of a take's
    time goes into its vocoder: so the best of several is chosen here.
    """

    def __init__(self, graph: Graph, autoencoder: Autoencoder) -> None:
        self._graph = graph
        self._autoencoder = autoencoder

    def fit(self, latent: Latents, target: Embedding) -> float:
        """Cosine between how ``latent`` [lanes, C, T, F] sounds and ``target`` [D].

        Raises:
            RenderError: ONNX Runtime failed.
        """
        log_mels = [self._autoencoder.log_mel(lane) for lane in latent]
        heard = np.sum([self._heard(piece) for mel in log_mels for piece in self._pieces(mel)], 0)
        return float(unit(heard) @ target) if np.isfinite(heard).all() else UNHEARD

    def _heard(self, log_mel: Frames) -> Embedding:
        embedding: Embedding = self._graph(log_mel=np.ascontiguousarray(log_mel[None]))[0][0]
        return embedding

    def _pieces(self, log_mel: Frames) -> list[Frames]:
        return np.array_split(log_mel, -(-len(log_mel) // self._autoencoder.chunk_mels))
