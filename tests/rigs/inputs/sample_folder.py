"""Folders of sounds for the sample library, and libraries of sounds that exist in name alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from server.model.manifest import Manifest
from server.sample_library.catalogue import Catalogue
from server.sample_library.sample import Description, Sample

__all__ = ["RATE", "noise", "tone", "write", "write_library"]

RATE = 16000


def noise(path: Path, seed: int = 0, seconds: float = 2.0) -> None:
    """White noise, which sounds like rain."""
    write(path, 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE)))


def tone(path: Path, hz: float = 440.0, seconds: float = 2.0) -> None:
    """A steady tone."""
    write(path, 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE))


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)


def write_library(state: Path, model: Path, folder: Path, count: int) -> None:
    """A library of ``count`` sounds in a paused folder, in groups; nothing is in the files."""
    manifest = Manifest.load(model)
    catalogue = Catalogue(state, manifest.audio_tower, manifest.embedding_dim)
    known = catalogue.add_folder(folder)
    catalogue.pause(known, True)
    random = np.random.default_rng(1)
    centres = random.standard_normal((24, manifest.embedding_dim))
    for first in range(0, count, 1000):
        groups = random.integers(0, len(centres), min(1000, count - first))
        embeddings = centres[groups] + 0.8 * random.standard_normal(centres[groups].shape)
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        numbers = range(first, first + len(groups))
        catalogue.put(zip(_samples(known.id, folder, numbers), embeddings, strict=True))
    catalogue.close()


def _samples(folder_id: int, folder: Path, numbers: Iterable[int]) -> list[Sample]:
    return [
        Sample(
            row=-1,
            folder=folder_id,
            path=folder / f"{number}.wav",
            size=1,
            mtime_ns=1,
            about=Description(
                digest=number.to_bytes(16, "little"),
                seconds=1.0 + number % 7,
                sample_rate=RATE,
                channels=1,
            ),
        )
        for number in numbers
    ]
