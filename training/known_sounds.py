"""The list of known sounds in a model folder (:mod:`server.known_sounds`), written."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from server.known_sounds import KnownSounds
from server.text import Embedding
from training.stages import Run

__all__ = ["known_sounds", "with_sounds"]

DIRECTIONS: Final = 96
"""Principal ones of the captions' embeddings, with 98 per cent of their variance."""
PERCENTILES: Final = (5, 50, 95, 99)


def known_sounds(run: Run, path: Path) -> None:
    """The captions of the training sounds, the first of each, and what is usual.

    ``distances`` are the 5th, 50th, 95th and 99th percentile of the cosine distance from a
    held-out caption to the nearest known one.
    """
    clips = [clip for clip in run.bank().clips if clip.variant == 0]
    captions = [clip.captions[0] for clip in clips if not clip.held_out]
    unseen = list(dict.fromkeys(clip.captions[0] for clip in clips if clip.held_out))
    embeddings = run.caption_embeddings(captions).numpy()
    usual = np.zeros(len(PERCENTILES), np.float32)
    if unseen:
        nearest = (run.caption_embeddings(unseen).numpy() @ embeddings.T).max(axis=1)
        usual = np.percentile(1.0 - nearest, PERCENTILES).astype(np.float32)
    _write(path, KnownSounds(tuple(captions), embeddings, usual))


def with_sounds(known: KnownSounds, captions: list[str], embeddings: Embedding, path: Path) -> None:
    """``known`` and more captions with their embeddings [N, 512]."""
    joined = np.concatenate([known.embeddings, embeddings])
    _write(path, KnownSounds((*known.captions, *captions), joined, known.usual))


def _write(path: Path, known: KnownSounds) -> None:
    """``embeddings`` as int8 coordinates [N, 96] with ``scales`` [N, 1], on ``basis`` [96, 512]."""
    mean = known.embeddings.mean(axis=0)
    _, _, directions = np.linalg.svd(known.embeddings - mean, full_matrices=False)
    basis = directions[:DIRECTIONS]
    coordinates = (known.embeddings - mean) @ basis.T
    scales = np.maximum(np.abs(coordinates).max(axis=1, keepdims=True), 1e-6) / 127.0
    np.savez_compressed(
        path,
        captions=np.array(known.captions),
        embeddings=np.round(coordinates / scales).astype(np.int8),
        scales=scales.astype(np.float32),
        basis=basis.astype(np.float16),
        mean=mean.astype(np.float32),
        distances=known.usual,
    )
